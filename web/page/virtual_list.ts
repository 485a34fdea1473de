// A list of any length of which only the rows in view exist. One row is chosen; the list is one stop of the Tab key.

import { h } from "./dom.ts";

/** The list. */
export interface VirtualList {
  element: HTMLElement;
  /** Shows so many rows and chooses one. */
  show(length: number, chosen: number): void;
  /** Chooses a row and brings it into view. */
  choose(row: number): void;
  /** Draws the rows in view again. */
  redraw(): void;
  readonly chosen: number;
}

const rowHeight = 40; // as in style.css
const tallest = 8_000_000; // browsers cap the height of an element

/** Makes a list. */
export function virtualList({ label, rowOf, onChoose, onEnter }: {
  label: string;
  rowOf: (row: number) => (Node | string)[];
  onChoose: (row: number) => void;
  onEnter: () => void;
}): VirtualList {
  let length = 0, chosen = 0;
  const inside = h("div");
  inside.style.position = "relative";
  const element = h(
    "div",
    {
      class: "list",
      role: "listbox",
      tabindex: 0,
      "aria-label": label,
      scroll: () => draw(),
      keydown: (event) => walk(event as KeyboardEvent),
    },
    inside,
  );
  const inView = () => Math.ceil(element.clientHeight / rowHeight);
  const total = () => Math.min(length * rowHeight, tallest);
  // Where rows are too many for an element, the scrollbar stands for a part of the list.
  const firstRow = () => {
    const range = total() - element.clientHeight;
    if (length * rowHeight <= tallest || range <= 0) {
      return Math.floor(element.scrollTop / rowHeight);
    }
    return Math.floor(
      element.scrollTop / range * Math.max(0, length - inView()),
    );
  };
  const draw = () => {
    inside.style.height = `${total()}px`;
    const first = firstRow();
    const exact = length * rowHeight <= tallest;
    const top = exact ? first * rowHeight : element.scrollTop;
    const rows: HTMLElement[] = [];
    for (let row = first; row < Math.min(length, first + inView() + 2); row++) {
      const made = h(
        "div",
        {
          class: "row",
          id: `row-${row}`,
          role: "option",
          "aria-selected": String(row === chosen),
          "aria-setsize": length,
          "aria-posinset": row + 1,
          click: () => choose(row),
        },
        ...rowOf(row),
      );
      made.style.top = `${top + (row - first) * rowHeight}px`;
      rows.push(made);
    }
    inside.replaceChildren(...rows);
    element.setAttribute("aria-activedescendant", `row-${chosen}`);
  };
  const choose = (row: number) => {
    chosen = Math.max(0, Math.min(length - 1, row));
    const first = firstRow();
    if (chosen < first || chosen >= first + inView() - 1) {
      const exact = length * rowHeight <= tallest;
      const middle = Math.max(0, chosen - Math.floor(inView() / 2));
      element.scrollTop = exact ? middle * rowHeight : middle / Math.max(1, length - inView()) *
        (total() - element.clientHeight);
    }
    draw();
    onChoose(chosen);
  };
  const walk = (event: KeyboardEvent) => {
    if (event.key === "Enter") {
      event.preventDefault();
      return onEnter();
    }
    const by = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: inView() - 1,
      PageUp: 1 - inView(),
      Home: -Infinity,
      End: Infinity,
    }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    choose(by === Infinity ? length - 1 : by === -Infinity ? 0 : chosen + by);
  };
  return {
    element,
    show(newLength, newChosen) {
      length = newLength;
      element.scrollTop = 0;
      draw();
      if (length > 0) choose(newChosen);
    },
    choose,
    redraw: draw,
    get chosen() {
      return chosen;
    },
  };
}
