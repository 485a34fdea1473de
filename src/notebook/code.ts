// Code of another language than the cell's, shown with its syntax highlighted.

import { type Displayable, displayable } from "./display.ts";

/**
 * Shows a kernel's WGSL. Viewers are told that it is Rust, whose syntax is near enough: few highlighters know WGSL, and the
 * others would show it plain.
 */
export function showCode(wgsl: string): Displayable {
  const code = wgsl.trim();
  const longest = Math.max(2, ...Array.from(code.matchAll(/`+/g), ([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return displayable({ text: code, markdown: `${fence}rust\n${code}\n${fence}` });
}
