import { escapePattern } from "../src/base/escape_pattern.ts";
import { assert, assertEquals } from "./assert.ts";

Deno.test("an escaped text matches itself alone, in every mode, whatever signs it has", () => {
  const signs = Array.from({ length: 127 - 32 }, (_, i) => String.fromCharCode(32 + i));
  for (const text of [...signs, "a.b", "<|end|>", "--", "&&", "▁", "🙂", "\n", signs.join("")]) {
    for (const mode of ["", "u", "v"]) {
      const pattern = new RegExp(`^(?:${escapePattern(text)})$`, mode);
      assert(pattern.test(text), `${text} in mode "${mode}"`);
      assertEquals(
        signs.filter((sign) => pattern.test(sign)),
        signs.filter((sign) => sign === text),
      );
    }
  }
});
