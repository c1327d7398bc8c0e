// @ts-check
// A list of rows of equal height. Only visible rows exist, so thousands of items cost nothing.

import { nextFrame, within } from './dom.js';

/**
 * @template T
 */
export class List {
  /**
   * @param {HTMLElement} box element that scrolls
   * @param {number} height of a row in CSS pixels
   * @param {(item: T, active: boolean) => HTMLElement} render
   * @param {(item: T) => void} press called on click and Enter
   * @param {(item: T, row: HTMLElement) => void} [drop] called when a row goes out of sight
   */
  constructor(box, height, render, press, drop = () => {}) {
    this.box = box;
    this.height = height;
    this.render = render;
    this.press = press;
    this.drop = drop;
    /** Returns true for the item that the page shows. @type {(item: T) => boolean} */
    this.isCurrent = () => false;
    /** @type {T[]} */
    this.items = [];
    this.active = 0;
    /** @type {Map<number, {item: T, row: HTMLElement}>} */
    this.rows = new Map();
    this.inner = document.createElement('div');
    this.inner.className = 'rows';
    this.inner.setAttribute('role', 'presentation');
    box.append(this.inner);
    this.drawSoon = nextFrame(() => this.draw());
    box.addEventListener('scroll', this.drawSoon, { passive: true });
    new ResizeObserver(this.drawSoon).observe(box);
    box.addEventListener('keydown', (event) => this.key(event));
  }

  /**
   * Shows other items.
   * @param {T[]} items
   */
  set(items) {
    this.items = items;
    this.active = within(this.active, 0, Math.max(0, items.length - 1));
    this.inner.style.height = `${items.length * this.height}px`;
    for (const { item, row } of this.rows.values()) {
      this.drop(item, row);
      row.remove();
    }
    this.rows.clear();
    this.draw();
  }

  /** Makes rows that came into sight and removes those that went. */
  draw() {
    const { scrollTop, clientHeight } = this.box;
    if (!clientHeight) return;
    const first = Math.max(0, Math.floor(scrollTop / this.height) - 1);
    const last = Math.min(this.items.length - 1, Math.ceil((scrollTop + clientHeight) / this.height) + 1);
    for (const [index, { item, row }] of this.rows) {
      if (index >= first && index <= last) continue;
      this.drop(item, row);
      row.remove();
      this.rows.delete(index);
    }
    for (let index = first; index <= last; index += 1) {
      if (this.rows.has(index)) continue;
      const item = this.items[index];
      const row = this.render(item, index === this.active);
      row.id = `${this.box.id}-${index}`;
      row.style.top = `${index * this.height}px`;
      row.style.height = `${this.height}px`;
      row.setAttribute('role', 'option');
      row.setAttribute('aria-posinset', String(index + 1));
      row.setAttribute('aria-setsize', String(this.items.length));
      row.addEventListener('click', (event) => {
        if (event.target instanceof Element && event.target.closest('button, input')) return;
        this.activate(index);
        this.press(item);
      });
      // Rows follow the order of the items for screen readers.
      const after = [...this.rows.entries()].filter(([other]) => other > index).sort((a, b) => a[0] - b[0])[0];
      this.inner.insertBefore(row, after ? after[1].row : null);
      this.rows.set(index, { item, row });
    }
    this.mark();
  }

  /** Marks the active row. */
  mark() {
    for (const [index, { item, row }] of this.rows) {
      row.classList.toggle('active', index === this.active);
      row.classList.toggle('current', this.isCurrent(item));
      row.setAttribute('aria-selected', String(index === this.active));
    }
    if (this.rows.has(this.active)) this.box.setAttribute('aria-activedescendant', `${this.box.id}-${this.active}`);
    else this.box.removeAttribute('aria-activedescendant');
  }

  /**
   * Makes a row the active one and scrolls it into sight.
   * @param {number} index
   */
  activate(index) {
    this.active = within(index, 0, Math.max(0, this.items.length - 1));
    const top = this.active * this.height, { scrollTop, clientHeight } = this.box;
    if (top < scrollTop) this.box.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight) this.box.scrollTop = top + this.height - clientHeight;
    this.draw();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.target !== this.box || event.ctrlKey || event.altKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / this.height) - 1);
    /** @type {Record<string, number>} */
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.items.length, End: this.items.length };
    if (event.key in moves) this.activate(this.active + moves[event.key]);
    else if ((event.key === 'Enter' || event.key === ' ') && this.items[this.active]) this.press(this.items[this.active]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
