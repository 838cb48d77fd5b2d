/**
 * The five generated domains: text a good selection leaves out. Everything follows from the seed; shuffled words and
 * near-duplicates also from the texts of the novels in the corpus.
 */
import { CORPUS_STREAM, Draws, MAX_CHARACTERS, MIN_CHARACTERS, words } from './text.ts';

/** Characters of each generated domain; together some 40 % of the corpus. */
const CHARACTERS = {
  'shuffled-words': 1_400_000,
  'near-duplicates': 1_100_000,
  logs: 1_000_000,
  boilerplate: 1_100_000,
  numbers: 600_000,
} as const;

export type JunkDomain = keyof typeof CHARACTERS;
export const JUNK_DOMAINS = Object.keys(CHARACTERS) as JunkDomain[];

/** The texts of a generated domain. `novels` are the corpus's novel texts; only the first two domains read them. */
export function junkTexts(domain: JunkDomain, novels: readonly string[]): string[] {
  const characters = CHARACTERS[domain];
  switch (domain) {
    case 'shuffled-words':
      return shuffledWords(novels, characters);
    case 'near-duplicates':
      return nearDuplicates(novels, characters);
    case 'logs':
      return repeatUntil(characters, new Draws(CORPUS_STREAM.logs), logText);
    case 'boilerplate':
      return repeatUntil(characters, new Draws(CORPUS_STREAM.boilerplate), boilerplateText);
    case 'numbers':
      return repeatUntil(characters, new Draws(CORPUS_STREAM.numbers), numberText);
  }
}

/** Texts made one after the other until they have `characters` in sum. */
function repeatUntil(characters: number, draws: Draws, make: (draws: Draws, index: number) => string): string[] {
  const texts: string[] = [];
  for (let sum = 0; sum < characters; sum += texts.at(-1)!.length) {
    texts.push(make(draws, texts.length).slice(0, MAX_CHARACTERS));
  }
  return texts;
}

/** Novel texts with their words in random order: the right words, no sense. */
function shuffledWords(novels: readonly string[], characters: number): string[] {
  const draws = new Draws(CORPUS_STREAM.shuffledWords);
  const order = draws.shuffle(novels);
  return repeatUntil(characters, draws, (_, index) =>
    draws.shuffle(order[index % order.length]!.split(/\s+/)).join(' '),
  );
}

/** 50 novel passages again and again, each time with 3 in 100 words replaced by another of the novels' words. */
function nearDuplicates(novels: readonly string[], characters: number): string[] {
  const BASES = 50;
  const CHANGED = 0.03;
  const draws = new Draws(CORPUS_STREAM.nearDuplicates);
  const bases = draws.shuffle(novels.filter((text) => text.length >= 800 && text.length <= 2000)).slice(0, BASES);
  const vocabulary = [...new Set(bases.flatMap(words))];
  const copies = Math.ceil(characters / bases.reduce((sum, base) => sum + base.length, 0));
  // Copies of one passage stand together, where gzip (a window of 32 kB) finds them.
  return bases.flatMap((base) => {
    const variants = new Set<string>();
    while (variants.size < copies) {
      const variant = base.replace(/[A-Za-z]+/g, (word) => (draws.chance(CHANGED) ? draws.pick(vocabulary) : word));
      if (variant !== base) variants.add(variant);
    }
    return [...variants];
  });
}

/** Fills `{slot}`s of a template, again and again, with a random choice of the slot's fillings; `{#}` is a digit. */
function fill(template: string, slots: Record<string, readonly string[]>, draws: Draws): string {
  return template.replace(/\{([a-z#]+)\}/g, (_, slot: string) =>
    slot === '#' ? String(draws.below(10)) : fill(draws.pick(slots[slot]!), slots, draws),
  );
}

const LOG_SLOTS = {
  // Addresses and names that are reserved for documentation (RFC 5737, RFC 2606).
  ip: ['192.0.2.{#}{#}', '198.51.100.{#}{#}', '203.0.113.1{#}{#}'],
  host: ['web-{#}', 'db-{#}', 'cache-{#}', 'worker-{#}{#}', 'edge-{#}'],
  method: ['GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE', 'HEAD'],
  path: [
    '/',
    '/index.html',
    '/api/v1/users/{#}{#}{#}{#}',
    '/api/v2/orders/{#}{#}{#}?page={#}',
    '/static/app.{hex}.js',
    '/img/{hex}.png',
    '/login',
    '/health',
    '/search?q={hex}',
  ],
  status: ['200', '200', '200', '201', '204', '301', '304', '400', '403', '404', '500', '503'],
  agent: [
    'Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/1{#}{#}.0',
    'curl/8.{#}.0',
    'python-requests/2.3{#}.0',
    'ExampleBot/1.{#} (+http://bot.example.com)',
  ],
  hex: ['{#}a{#}{#}f{#}c{#}', 'b{#}{#}e{#}{#}{#}d', '{#}{#}c{#}a{#}{#}f', 'f{#}d{#}{#}b{#}{#}'],
  level: ['INFO', 'INFO', 'DEBUG', 'WARN', 'ERROR'],
  unit: ['scheduler', 'billing', 'session-store', 'mail-queue', 'replicator', 'gateway'],
  message: [
    'request {hex} finished in {#}{#}{#} ms',
    'retry {#} of 5 for job {hex}',
    'connection to {host}.example.net:{#}{#}{#}{#} refused',
    'cache miss for key user:{#}{#}{#}{#}',
    'flushed {#}{#}{#} rows in {#}{#} ms',
    'heap {#}{#}{#} MB of 1024 MB, gc pause {#}{#} ms',
    'timeout waiting for lock {hex} held by worker-{#}',
    'healthcheck ok latency={#}.{#}{#}ms',
  ],
  klass: ['OrderService', 'SessionFilter', 'RetryPolicy', 'QueueConsumer', 'RowMapper', 'ConnectionPool'],
  call: ['handle', 'invoke', 'process', 'acquire', 'doFilter', 'map', 'run'],
} as const;

const LOG_LINES: readonly string[] = [
  '{ip} - - [{time}] "{method} {path} HTTP/1.1" {status} {#}{#}{#}{#} "-" "{agent}"',
  '{time} {host} {unit}[{#}{#}{#}{#}]: {level} {message}',
  '{"ts":"{time}","level":"{level}","service":"{unit}","msg":"{message}","trace":"{hex}{hex}"}',
  '{time} {level} com.example.{klass} - {message}\n\tat com.example.{klass}.{call}({klass}.java:{#}{#}{#})\n\tat com.example.{klass}.{call}({klass}.java:{#}{#})',
];

/** Lines of one kind of server log with rising times. */
function logText(draws: Draws): string {
  const line = draws.pick(LOG_LINES);
  const target = draws.between(700, 2800);
  let milliseconds = Date.UTC(2023, draws.below(12), draws.between(1, 28), draws.below(24), draws.below(60));
  const lines: string[] = [];
  for (let length = 0; length < target; length += lines.at(-1)!.length + 1) {
    milliseconds += draws.between(1, 4000);
    // The braces of JSON lines stand as they are: a slot's name is letters alone.
    lines.push(fill(line, { ...LOG_SLOTS, time: [new Date(milliseconds).toISOString()] }, draws));
  }
  return lines.join('\n');
}

const BOILERPLATE_SLOTS = {
  product: ['{quality} {thing}', '{thing} {series}', '{quality} {thing} {series}'],
  quality: ['Ultra', 'Premium', 'Deluxe', 'Smart', 'Eco', 'Classic', 'Pro', 'Wireless', 'Portable', 'Heavy-Duty'],
  thing: ['Blender', 'Headphones', 'Desk Lamp', 'Backpack', 'Yoga Mat', 'Phone Case', 'Air Fryer', 'Office Chair'],
  series: ['X{#}00', 'Series {#}', '20{#}{#} Edition', 'Mk {#}', 'Plus', 'Mini', 'Max {#}'],
  brand: ['Northvale', 'Zentrix', 'Homely & Co', 'BrightNest', 'Kadoro', 'Velmora', 'Ostrello'],
  price: ['€{#}9.99', '€{#}{#}.95', '€{#}{#}{#}.00', 'only €{#}4.99'],
  rating: ['{#}.{#} out of 5 stars ({#}{#}{#} reviews)', '★★★★☆ ({#}{#} ratings)', 'Be the first to review this item'],
  colour: ['Black', 'White', 'Navy', 'Rose Gold', 'Graphite', 'Mint'],
  site: ['shop.example.com', 'deals.example.net', 'www.example.org', 'store{#}.example.com'],
  action: [
    'Accept all',
    'Reject all',
    'Manage preferences',
    'Learn more',
    'Save settings',
    'Continue without accepting',
  ],
  purpose: ['analytics', 'personalised advertising', 'performance', 'social media features', 'fraud prevention'],
  link: ['Home', 'About us', 'Contact', 'FAQ', 'Shipping', 'Returns', 'Careers', 'Press', 'Sitemap', 'Gift cards'],
  verb: ['Click here', 'Act now', 'Order today', 'Sign up', 'Claim your reward', 'Call us'],
  prize: ['a free {thing}', 'a {price} gift card', 'an exclusive {quality} membership', 'up to {#}0% off'],
  hurry: [
    'Offer ends tonight!',
    'Only {#} left in stock!',
    'Limited time only!!!',
    'Do not miss out!',
    '100% guaranteed.',
  ],
} as const;

const BOILERPLATE_BLOCKS: readonly string[] = [
  'We use cookies and similar technologies on {site} for {purpose} and {purpose}. By clicking "{action}" you agree to the storing of cookies on your device. You can withdraw your consent at any time in the settings. {action} | {action} | {action}',
  'This website uses cookies to improve your experience. Some are necessary for {purpose}, others help us with {purpose}. See our Cookie Policy for details. [{action}] [{action}]',
  '{brand} {product} - {colour}\n{price} (incl. VAT)\n{rating}\nColour: {colour} | {colour} | {colour}\nAdd to cart | Add to wishlist | Compare',
  'Customers who bought the {brand} {product} also bought: {product} ({price}), {product} ({price}), {product} ({price}). Sponsored: {brand} {product}.',
  'CONGRATULATIONS!!! You have been selected to receive {prize}. {verb} at http://{site}/claim?id={#}{#}{#}{#}{#} to get {prize}. {hurry} {hurry}',
  '{verb}: {brand} {product} for {price}. {hurry} Free shipping on orders over €{#}0. {verb} >> http://{site}/p/{#}{#}{#}{#}',
  '{link} | {link} | {link} | {link} | {link} | {link}\nCopyright 20{#}{#} {brand} Ltd. All rights reserved. Terms of service. Privacy policy. Do not sell my personal information.',
  'Subscribe to our newsletter and get {prize}! Enter your e-mail address. We will never share it with third parties. You can unsubscribe at any time. {action}',
  'You are receiving this e-mail because you signed up at {site}. If you no longer wish to receive messages about {purpose}, unsubscribe here. Please do not reply to this address.',
  'Your session has expired. Please log in again. Forgot your password? New to {brand}? Create an account and receive {prize}.',
  'JavaScript is disabled in your browser. Please enable JavaScript to use {site}. Error {#}{#}{#}. Back to {link}.',
  'Shipping: {#} to {#} business days. Returns accepted within {#}0 days in the original packaging. SKU {#}{#}{#}-{#}{#}{#}{#}. Availability: {hurry} Share: Facebook Twitter Pinterest E-mail',
];

/** What surrounds the text of web pages: banners, shop listings, navigation, offers. */
function boilerplateText(draws: Draws): string {
  const target = draws.between(600, 2600);
  let text = '';
  while (text.length < target)
    text += `${text && '\n\n'}${fill(draws.pick(BOILERPLATE_BLOCKS), BOILERPLATE_SLOTS, draws)}`;
  return text;
}

/** Tables of digits, hexadecimal dumps or lines that look like base64. */
function numberText(draws: Draws): string {
  const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const kind = draws.below(4);
  const columns = draws.between(3, 8);
  const separator = draws.pick(['\t', ',', ' | ', '  ']);
  const string = (alphabet: string, length: number) =>
    Array.from({ length }, () => alphabet[draws.below(alphabet.length)]).join('');
  const line = (row: number): string => {
    if (kind === 0) return string(BASE64, 76);
    if (kind === 1) {
      const bytes = Array.from({ length: 16 }, () => string('0123456789abcdef', 2));
      return `${(row * 16).toString(16).padStart(8, '0')}  ${bytes.join(' ')}`;
    }
    // Two of four texts are tables, of whole numbers or of decimal fractions.
    const cell = () => (kind === 2 ? `${draws.below(100_000)}` : `${draws.below(1000)}.${string('0123456789', 3)}`);
    return [row + 1, ...Array.from({ length: columns }, cell)].join(separator);
  };
  const target = draws.between(2 * MIN_CHARACTERS, 2200);
  const lines: string[] = [];
  for (let length = 0; length < target; length += lines.at(-1)!.length + 1) lines.push(line(lines.length));
  return lines.join('\n');
}
