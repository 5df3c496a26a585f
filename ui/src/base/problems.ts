/**
 * Which field of a form a refusal is about. The server says what is wrong in a sentence; the first field whose words
 * the sentence has gets it, else the form as a whole.
 */
export function problems<F extends string>(
  error: Error | null,
  words: Readonly<Record<F, RegExp>>,
): Partial<Record<F | "form", string>> {
  if (error === null) return {};
  const field = (Object.keys(words) as F[]).find((name) => words[name].test(error.message)) ?? "form";
  return { [field]: error.message } as Partial<Record<F | "form", string>>;
}
