/** Packs a shard's documents into rows of equal length: first each domain by itself, then the ends together. */

/** The domain of a row that joins the ends of several domains. */
export const MIXED_DOMAIN = 'mixed';

export interface Row {
  tokens: Uint32Array;
  /** Ids of the documents that have tokens in the row. */
  documents: string[];
  domain: string;
}

/** A document's tokens in a row. */
interface Part {
  document: string;
  tokens: ArrayLike<number>;
}

/** Fills rows of one domain; a row is handed over when it is full. */
class RowFiller {
  private tokens: Uint32Array;
  private filled = 0;
  private documents: { id: string; begin: number }[] = [];
  private readonly domain: string;

  constructor(sequenceLength: number, domain: string) {
    this.tokens = new Uint32Array(sequenceLength);
    this.domain = domain;
  }

  /** Adds a document's tokens and returns the rows that they fill; each row that has some of them names the document. */
  add({ document: id, tokens }: Part): Row[] {
    const rows: Row[] = [];
    for (let at = 0; at < tokens.length; ) {
      this.documents.push({ id, begin: this.filled });
      const take = Math.min(this.tokens.length - this.filled, tokens.length - at);
      for (let i = 0; i < take; i++) this.tokens[this.filled + i] = tokens[at + i]!;
      this.filled += take;
      at += take;
      if (this.filled === this.tokens.length) rows.push(this.takeRow());
    }
    return rows;
  }

  /** What is left over, by document: less than a row. */
  rest(): Part[] {
    return this.documents.map(({ id, begin }, i) => ({
      document: id,
      tokens: this.tokens.subarray(begin, this.documents[i + 1]?.begin ?? this.filled),
    }));
  }

  private takeRow(): Row {
    const row = { tokens: this.tokens, documents: this.documents.map(({ id }) => id), domain: this.domain };
    this.tokens = new Uint32Array(row.tokens.length);
    this.documents = [];
    this.filled = 0;
    return row;
  }
}

/** Packs one shard; the order of the rows depends on the order of the documents alone. */
export class ShardPacker {
  private readonly sequenceLength: number;
  private readonly endOfText: number;
  private readonly domains = new Map<string, RowFiller>();

  constructor(sequenceLength: number, endOfText: number) {
    this.sequenceLength = sequenceLength;
    this.endOfText = endOfText;
  }

  /** Adds a document with the end-of-text token after it, and returns the rows that are now full. */
  add(id: string, domain: string, tokens: number[]): Row[] {
    let filler = this.domains.get(domain);
    if (!filler) {
      filler = new RowFiller(this.sequenceLength, domain);
      this.domains.set(domain, filler);
    }
    return filler.add({ document: id, tokens: tokens.concat(this.endOfText) });
  }

  /** Joins the domains' ends, in order of name, into mixed rows; the last incomplete row is dropped. */
  finish(): { rows: Row[]; droppedTokens: number } {
    const filler = new RowFiller(this.sequenceLength, MIXED_DOMAIN);
    const rows: Row[] = [];
    for (const name of [...this.domains.keys()].sort())
      for (const part of this.domains.get(name)!.rest()) rows.push(...filler.add(part));
    return { rows, droppedTokens: filler.rest().reduce((sum, { tokens }) => sum + tokens.length, 0) };
  }
}
