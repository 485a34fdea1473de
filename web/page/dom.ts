// Elements in one call; text is always text, never markup.

/** Attributes; functions are listeners of the event that they are named after, `true` is an empty attribute. */
export type Attributes = Readonly<
  Record<
    string,
    string | number | boolean | undefined | ((event: Event) => void)
  >
>;

/** Makes an element with attributes, listeners and children. */
export function h<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(key, value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/** The element of an id that the page has. */
export function byId(id: string): HTMLElement {
  return document.getElementById(id)!;
}

/** Offers a text as a file. */
export function download(name: string, type: string, content: string | Blob): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const drawings: (() => void)[] = [];
let drawsSoon = false;
const budget = 8; // milliseconds of a frame that go into drawing; one drawing may take more

/** At most once a frame; where several draw, as many in one frame as it has time for, and the others in the next. */
export function eachFrame(draw: () => void): () => void {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    drawings.push(() => {
      waiting = false;
      draw();
    });
    drawSoon();
  };
}

function drawSoon(): void {
  if (!drawsSoon) requestAnimationFrame(drawWaiting);
  drawsSoon = true;
}

function drawWaiting(): void {
  drawsSoon = false;
  const began = performance.now();
  try {
    while (drawings.length > 0 && performance.now() - began < budget) drawings.shift()!();
  } finally {
    if (drawings.length > 0) drawSoon();
  }
}

/** Lets the browser draw, and hear what was typed, before what follows. */
export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

const slice = 20; // milliseconds

/**
 * Does something with every item, a short while at a time, so that the page answers in between. Ends early, and gives
 * false, when it is no longer wanted.
 */
export async function inSlices<Item>(
  items: Iterable<Item>,
  each: (item: Item) => void,
  isWanted: () => boolean = () => true,
): Promise<boolean> {
  let began = performance.now();
  for (const item of items) {
    each(item);
    if (performance.now() - began < slice) continue;
    await pause();
    if (!isWanted()) return false;
    began = performance.now();
  }
  return true;
}

/** Once, when nothing was asked for a while. */
export function whenQuiet(milliseconds: number, work: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, milliseconds);
  };
}
