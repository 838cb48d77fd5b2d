/**
 * Text from a file, such as the name of a domain, with control characters written out as `\u001b`: as they are, they could
 * act on the terminal that shows them. Line feeds and tabs are left.
 */
export function printable(text: string): string {
  return text.replaceAll(
    /[^\P{Cc}\n\t]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
