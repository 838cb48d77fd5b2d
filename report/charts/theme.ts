/**
 * Colours by role. Each pair was checked: text at 4.5:1 or more and graphics at 3:1 or more against `surface`, and main
 * against control still apart under simulated protanopia and deuteranopia (test/report/theme.test.ts).
 */
export interface Palette {
  page: string;
  surface: string;
  ink: string;
  muted: string;
  line: string;
  main: string;
  control: string;
  pool: string;
  good: string;
  warn: string;
}

export const light: Palette = {
  page: '#f5f6f8',
  surface: '#ffffff',
  ink: '#1a1f26',
  muted: '#58626e',
  line: '#dde2e8',
  main: '#0b63b0',
  control: '#c05a00',
  pool: '#808b98',
  good: '#0b63b0',
  warn: '#a04000',
};

export const dark: Palette = {
  page: '#0e1217',
  surface: '#161b22',
  ink: '#e6eaf0',
  muted: '#9ba8b6',
  line: '#2b343f',
  main: '#5fb3f3',
  control: '#f2a24d',
  pool: '#788594',
  good: '#5fb3f3',
  warn: '#f2a24d',
};

const variables = (palette: Palette) =>
  Object.entries(palette)
    .map(([name, value]) => `--${name}:${value};`)
    .join('');

/**
 * A shadow at each edge behind which there is more of a table; covers that scroll with the table hide it at the ends.
 */
const scrollShadows =
  'background:linear-gradient(to right,var(--surface) 30%,transparent) left/36px 100% local,' +
  'linear-gradient(to left,var(--surface) 30%,transparent) right/36px 100% local,' +
  'linear-gradient(to right,var(--shade),transparent) left/12px 100% scroll,' +
  'linear-gradient(to left,var(--shade),transparent) right/12px 100% scroll;' +
  'background-repeat:no-repeat';

/** The page's style sheet; system fonts, both colour schemes, one column on a phone, plain on paper. */
export const styles = `
:root{color-scheme:light dark;--shade:rgb(0 0 0/.22);${variables(light)}}
@media (prefers-color-scheme:dark){:root{${variables(dark)}--shade:rgb(0 0 0/.7)}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1280px;margin:0 auto;padding:40px 24px 80px}
h1,h2,h3{line-height:1.25;text-wrap:balance}
h1{font-size:2rem;margin:0 0 .3em;letter-spacing:-.02em;overflow-wrap:anywhere}
h2{font-size:1.3rem;margin:0 0 .4em;letter-spacing:-.01em}
h3{font-size:1rem;margin:1.6em 0 .5em}
p{margin:0 0 .8em;max-width:76ch}
a{color:var(--main)}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.86em}
.eyebrow{color:var(--muted);font-size:.82rem;margin:0 0 .5em}
.muted,.note{color:var(--muted)}
.note{font-size:.88rem}
nav{display:flex;flex-wrap:wrap;gap:.2em 1.1em;margin:20px 0 0;font-size:.88rem}
section,.verdict{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:24px;margin-top:20px}
.verdict{border-left:5px solid var(--pool)}
.verdict.good{border-left-color:var(--good)}
.verdict.warn{border-left-color:var(--warn)}
.verdict .say{font-size:1.12rem;margin-bottom:.6em}
.verdict ul{margin:0;padding-left:1.2em;max-width:80ch}
.verdict li{margin:.25em 0}
.figures{display:flex;flex-wrap:wrap;gap:12px 44px;margin:0 0 14px}
.figures div{min-width:7em}
.figures dt{color:var(--muted);font-size:.82rem}
.figures dd{margin:0;font-size:1.75rem;font-weight:600;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
figure{margin:0 0 20px}
figcaption{font-weight:600;font-size:.92rem;margin-bottom:4px}
figcaption small{display:block;font-weight:400;color:var(--muted);font-size:.82rem}
svg.chart{display:block;max-width:100%;height:auto;color:var(--ink);overflow:visible}
svg.chart text{white-space:pre}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,290px),1fr));gap:12px 28px;margin-bottom:14px}
.panels svg.chart{width:100%;max-width:350px}
.narrow{display:none}
.legend{display:flex;flex-wrap:wrap;gap:.2em 1.3em;font-size:.84rem;color:var(--muted);margin:0 0 10px;padding:0;list-style:none}
.legend svg{vertical-align:-2px;margin-right:6px;overflow:visible}
.scroll{overflow-x:auto;margin-bottom:16px;${scrollShadows}}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:6px 10px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
thead tr:first-child th:first-child,tbody th,tbody tr>:first-child{text-align:left;padding-left:0}
thead th{color:var(--muted);font-weight:500;vertical-align:bottom}
thead tr:first-child th[colspan]{text-align:center;border-bottom-color:var(--muted)}
tbody th{font-weight:500}
td.text,th.text{text-align:left;white-space:normal}
td.heat{background:color-mix(in srgb,var(--heat) var(--amount),transparent)}
.better{color:var(--good);font-weight:600}
.worse{color:var(--warn);font-weight:600}
.spread{display:block;color:var(--muted)}
table.closing{font-size:.82rem}
.closing th,.closing td{padding:6px 5px}
.closing .group{padding-left:16px}
.closing td.shared{text-align:center}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,540px),1fr));gap:8px 36px;align-items:start}
.pair svg.chart{width:100%;max-width:520px}
figure:last-child,section>:last-child,.panels figure{margin-bottom:0}
.documents{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:8px 32px}
.documents ol{list-style:none;margin:0;padding:0}
.documents li{border-top:1px solid var(--line);padding:10px 0}
.documents .about{display:flex;gap:10px;align-items:baseline;font-size:.82rem;color:var(--muted)}
.documents .about b{color:var(--ink);font-variant-numeric:tabular-nums}
.tag{border:1px solid var(--line);border-radius:99px;padding:0 8px;overflow-wrap:anywhere}
.excerpt{font-size:.88rem;margin:4px 0 0;overflow-wrap:anywhere;white-space:pre-wrap}
.excerpt pre,details pre{white-space:pre-wrap;overflow-wrap:anywhere}
details>summary{cursor:pointer;color:var(--muted);font-size:.88rem}
details.more>summary{padding:2px 0}
details.part{border-top:1px solid var(--line);padding:10px 0}
details.part>summary{font-weight:600;color:var(--ink)}
:focus-visible{outline:2px solid var(--main);outline-offset:2px;border-radius:3px}
@media (max-width:720px){
main{padding:24px 12px 48px}
section,.verdict{padding:16px;border-radius:8px}
h1{font-size:1.55rem}
.figures dd{font-size:1.4rem}
.figures{gap:10px 20px}
.figures div{min-width:0}
th,td{padding:6px 7px}
th.name{min-width:9em;white-space:normal;overflow-wrap:anywhere}
.wide{display:none}
.narrow{display:block}
}
@media print{section,.verdict{break-inside:avoid;border:0;padding:0}nav{display:none}body{background:none}}
`;
