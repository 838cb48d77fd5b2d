export interface Convention {
  /** Between query and choice, where it is not one space. */
  delimiter?: string;
  /** False where the harness does not compare choices by length. */
  normalised?: false;
}

/** `arc_easy` for `some/folder/arc_easy.jsonl`. */
export function taskName(file: string): string {
  return file.slice(file.lastIndexOf('/') + 1).replace(/\.jsonl?$/, '');
}

const ANSWER = '\nAnswer: ';

/**
 * How lm-evaluation-harness 0.4.13 puts its tasks' prompts together (`doc_to_text` and `target_delimiter`) and which
 * metrics they have (`metric_list`), by the name of the task and that of its file in the `llm-foundry` gauntlet. Those
 * files hold the question without the "Answer:" that the harness writes after it. COPA has two spaces: its choices begin
 * with one, and the harness puts another before them.
 */
const CONVENTIONS: Record<string, Convention> = {
  arc_challenge: { delimiter: ANSWER },
  arc_easy: { delimiter: ANSWER },
  boolq: { delimiter: ANSWER, normalised: false },
  copa: { delimiter: '  ', normalised: false },
  logi_qa: { delimiter: ANSWER },
  logiqa: { delimiter: ANSWER },
  piqa: { delimiter: ANSWER },
  sciq: { delimiter: ANSWER },
};

/** The harness's conventions for a task of this name; no special ones for names that are not listed. */
export function conventionOf(name: string): Convention {
  return Object.hasOwn(CONVENTIONS, name) ? CONVENTIONS[name]! : {};
}
