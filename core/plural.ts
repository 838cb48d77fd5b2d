/** `row` for one, `rows` for any other number. */
export const plural = (count: number, one: string, many = `${one}s`): string => (count === 1 ? one : many);

/** `1 row`, `2 rows`. */
export const counted = (count: number, one: string, many?: string): string => `${count} ${plural(count, one, many)}`;
