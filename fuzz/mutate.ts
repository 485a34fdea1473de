// Ways to damage a file: bytes, text and JSON. All draws come from one stream of random numbers, so that an input is known
// by its seed and its number.

import type { Random } from "../src/base/random.ts";

const hostileNumbers = [
  0,
  1,
  -1,
  0.5,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 53,
  1e99,
  -1e-9,
  300,
];
const hostileTexts = [
  ...["", "a", "../../etc/passwd", "constructor", "__proto__", "\ud800", "\x1b]0;x\x07", "("],
  ...["\0", "\u202e", "NaN", "-Infinity", "1e999", "x".repeat(5000), "é🎉", "<s>", "F32"],
];

/** A value that a field was not made for. */
function hostile(random: Random): unknown {
  return random.pick<() => unknown>([
    () => random.pick([null, true, false]),
    () => random.pick(hostileNumbers),
    () => random.pick(hostileTexts),
    () => random.pick([[], {}, [[]], [null], ["a"], { a: 1 }, [0, 1e9], Array(300).fill([])]),
  ])();
}

/** Some bytes changed, taken out, put in or doubled, or the end cut off. */
export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array {
  let result = Uint8Array.from(bytes);
  for (let changes = 1 + random.below(4); changes > 0; changes--) {
    const at = random.below(Math.max(result.length, 1)),
      end = Math.min(result.length, at + 1 + random.below(8));
    const fate = random.below(6);
    if (fate === 0) result[at]! ^= 1 << random.below(8);
    else if (fate === 1) result[at] = random.below(256);
    else if (fate === 2) result.subarray(at, end).fill(random.pick([0, 0xff, 0x7f, 0x80]));
    else if (fate === 3) result = joined(result.subarray(0, at), result.subarray(end));
    else if (fate === 4) result = joined(result.subarray(0, end), result.subarray(at));
    else result = result.slice(0, random.below(8) === 0 ? at : result.length);
  }
  return result;
}

/** One value of a JSON text replaced, removed, doubled or put in the place of another; or its text damaged. */
export function mutateJson(text: string, random: Random): string {
  if (random.below(8) === 0) return mutateText(text, random);
  const copy = JSON.parse(text);
  for (let changes = 1 + random.below(2); changes > 0; changes--) {
    const places: [container: Record<string, unknown>, key: string][] = [];
    const walk = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return;
      const keys = Object.keys(value);
      // Of a vocabulary's hundreds of entries a few, or nothing else would ever be hit.
      for (const key of keys.length > 40 ? keys.filter(() => random.below(40) === 0) : keys) {
        places.push([value as Record<string, unknown>, key]);
        walk((value as Record<string, unknown>)[key]);
      }
    };
    walk(copy);
    if (places.length === 0) return JSON.stringify(hostile(random));
    const [container, key] = random.pick(places), [other, otherKey] = random.pick(places);
    const fate = random.below(5);
    if (fate === 0) delete container[key];
    else if (fate === 1) container[key] = structuredClone(other[otherKey]);
    else if (fate === 2) container[random.pick(hostileTexts)] = hostile(random);
    else container[key] = structuredClone(hostile(random));
  }
  return random.below(60) === 0 ? JSON.stringify(hostile(random)) : JSON.stringify(copy);
}

/** A text cut, or with something put into it. */
export function mutateText(text: string, random: Random): string {
  const at = random.below(text.length + 1), end = Math.min(text.length, at + random.below(6));
  const fate = random.below(4);
  if (fate === 0) return text.slice(0, at);
  if (fate === 1) return text.slice(0, at) + text.slice(end);
  const put = random.pick([...'{}[]",:\n\r\0()+*/-.9', ...hostileTexts, "[".repeat(9000)]);
  return text.slice(0, at) + put + text.slice(fate === 2 ? at : end);
}

/** One line of JSON lines mutated, doubled or removed. */
export function mutateLines(text: string, random: Random): string {
  const lines = text.split("\n");
  const at = random.below(Math.max(lines.length - 1, 1)), fate = random.below(8);
  if (fate === 0) lines.splice(at, 1);
  else if (fate === 1) lines.splice(at, 0, lines[at]!);
  else if (fate === 2) return mutateText(text, random);
  else lines[at] = mutateJson(lines[at]!, random);
  return lines.join("\n");
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
