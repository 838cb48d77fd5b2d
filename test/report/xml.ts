/** Throws when the text is not one well-formed XML element: strict about names, quotes, entities and nesting. */
export function checkXml(text: string): void {
  const token = /<(\/?)([a-zA-Z][\w-]*)((?:\s+[a-zA-Z_][\w:-]*="[^"<]*")*)\s*(\/?)>|([^<]+)/y;
  const open: string[] = [];
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const found = token.exec(text);
    if (!found) throw new Error(`not well-formed: ${text.slice(at, at + 80)}`);
    const [, closing, name = '', attributes = '', empty, content = ''] = found;
    if (/&(?!#\d+;)/.test(attributes + content)) throw new Error(`bare ampersand: ${found[0]}`);
    const names = [...attributes.matchAll(/\s([\w:-]+)="/g)].map((match) => match[1]);
    if (new Set(names).size < names.length) throw new Error(`attribute twice: ${found[0]}`);
    if (closing && open.pop() !== name) throw new Error(`</${name}> closes nothing`);
    if (name && !closing && !empty) open.push(name);
    if (open.length === 0 && token.lastIndex < text.length) throw new Error('more than one element');
  }
  if (open.length) throw new Error(`not closed: ${open.join(' ')}`);
}
