// How a client here talks with the test that started it: JSON, a line each way.

import { createInterface } from "node:readline";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** What the test says next. */
export async function hear() {
  const { value, done } = await lines.next();
  if (done) process.exit(0);
  return JSON.parse(value);
}

export function say(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}
