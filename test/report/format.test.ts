import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as format from '../../report/format.ts';
import { escapeText, html } from '../../report/html.ts';
import { checkXml } from './xml.ts';

describe('numbers', () => {
  it.each([
    [format.lossDifference(-0.18), '\u22120.180'],
    [format.lossDifference(0.18), '+0.180'],
    [format.lossDifference(-0.0001), '0.000'],
    [format.count(1234567), '1,234,567'],
    [format.percent(0.166), '16.6%'],
    [format.plainPercent(0.2), '20%'],
    [format.interval([-0.14, 0.27]), '[\u22120.14, 0.27]'],
    [format.lift(12.3), '\u00d712'],
    [format.utility(0.00012), '+1.2e\u22124'],
    [format.utility(0), '0.000'],
    [format.duration(8.25), '8.3 s'],
    [format.duration(59.7), '1 min 0 s'],
    [format.duration(7500), '2 h 5 min'],
    [format.loss(Number.POSITIVE_INFINITY), '\u221e'],
  ])('%s', (written, expected) => expect(written).toBe(expected));

  it('never writes a negative zero', () => {
    fc.assert(
      fc.property(fc.double({ min: -10, max: 10, noNaN: true }), (value) => {
        expect(format.lossDifference(value)).not.toBe('\u22120.000');
      }),
    );
  });
});

describe('text', () => {
  it('of any kind is well-formed as content and as an attribute', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        checkXml(html`<p title="${text}">${text}</p>`.text);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be left
        expect(escapeText(text)).not.toMatch(/[\u0000-\u0008<>"]/);
      }),
    );
  });

  it('keeps the beginning and the end of a name that is too long', () => {
    expect(format.shorten('mail', 4)).toBe('mail');
    expect(format.shorten('corpus/part-00001.jsonl', 12)).toBe('corpus\u2026jsonl');
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 20 }), (name, length) => {
        const short = format.shorten(name, length);
        expect(short.length).toBeLessThanOrEqual(length);
        if (!/\p{Surrogate}/u.test(name)) expect(short).not.toMatch(/\p{Surrogate}/u);
      }),
    );
  });

  it('is cut to a length, between words where it can be', () => {
    expect(format.truncate('one two three', 100)).toBe('one two three');
    expect(format.truncate('one two three', 9)).toBe('one two\u2026');
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 20 }), (text, length) => {
        expect(format.truncate(text, length).length).toBeLessThanOrEqual(length);
      }),
    );
  });
});
