'use strict';
// What a pointer can do on this page; everything can be read without it.
(() => {
const data = JSON.parse(document.getElementById('data').textContent);
const root = document.documentElement;
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const make = (name, className, text) => {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};
root.classList.add('js');

// Times and frames as the page writes them.
const grouped = (number) => Math.round(number).toLocaleString('en-US');
const clock = (seconds, tenths) => {
  const every = tenths ? Math.round(seconds * 10) : Math.round(seconds) * 10;
  const whole = Math.floor(every / 10);
  const two = (number) => String(number).padStart(2, '0');
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  const text = hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  return tenths ? `${text}.${every % 10}` : text;
};

// The frames in view.
let view = { start: data.first, length: data.frames };
const fields = all('#objects .field, #glance .field');

const place = () => {
  for (const svg of all('svg.time')) {
    const height = svg.viewBox.baseVal.height;
    svg.setAttribute('viewBox', `${view.start} 0 ${view.length} ${height}`);
  }
  for (const pin of all('.pin')) {
    const figure = document.querySelector(pin.getAttribute('href'));
    put(pin, Number(figure.dataset.frame) + 0.5);
  }
  for (const peak of all('.peak')) peak.hidden = view.length < data.frames;
  axis('.frames', step(view.length / 8, [1, 2, 5, 10]), 1, 0.5, grouped);
  if (data.rate) {
    const seconds = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000];
    const rough = view.length / data.rate / 8;
    const each = seconds.find((one) => one >= rough) || 3600 * step(rough / 3600, [1, 2, 5, 10]);
    axis('.times', each, data.rate, 0.5, (time) => clock(time, each < 1));
  }
  reset.hidden = view.length === data.frames;
};
const step = (rough, factors) => {
  const power = 10 ** Math.floor(Math.log10(rough));
  return Math.max(...[factors.find((factor) => factor * power >= rough * 0.999) * power, power >= 1 ? 1 : power]);
};
// Puts an element at a place in units of frames; it is hidden outside of the view.
const put = (element, at) => {
  const share = (at - view.start) / view.length;
  element.style.left = `${100 * share}%`;
  element.style.display = share < 0 || share > 1 ? 'none' : '';
};
const axis = (selector, each, scale, offset, label) => {
  if (selector === '.frames') each = Math.max(1, Math.round(each));
  for (const field of all(`.axis ${selector}`)) {
    field.replaceChildren();
    const first = Math.ceil(view.start / scale / each - 1e-9) + 0;
    for (let index = first, count = 0; index * each * scale + offset <= view.start + view.length; index += 1, count += 1) {
      const tick = make('span', count % 2 ? 'minor' : '', label(index * each));
      put(tick, index * each * scale + offset);
      field.append(tick);
    }
  }
};
const reset = make('button', 'reset', 'Show the whole recording');
reset.type = 'button';
reset.hidden = true;
reset.addEventListener('click', () => look(data.first, data.frames));
document.body.append(reset);
const look = (start, length) => {
  const least = Math.min(5, data.frames);
  length = Math.min(data.frames, Math.max(least, Math.round(length)));
  start = Math.round(Math.min(Math.max(start, data.first), data.first + data.frames - length));
  view = { start, length };
  place();
};

// The values below the pointer, in every plot at once.
const cursors = fields.map((field) => {
  const cursor = make('div', 'cursor');
  cursor.hidden = true;
  field.append(cursor);
  return cursor;
});
const value = (series, frame, digits) => {
  if (!series) return null;
  const index = Math.floor((frame - data.first) / series.per);
  const mean = series.mean[index];
  if (mean === null || mean === undefined) return null;
  const show = (number) => (digits ? number.toFixed(digits) : grouped(number)).replace('-', '\u2212');
  return series.min ? `${show(mean)} (${show(series.min[index])}\u2013${show(series.max[index])})` : show(mean);
};
const readouts = data.objects.map((object) => {
  const article = document.getElementById(`object-${object.object}`);
  return { object, line: article && article.querySelector('.readout') };
});
const point = (frame) => {
  for (const cursor of cursors) {
    cursor.hidden = false;
    put(cursor, frame + 0.5);
  }
  for (const { object, line } of readouts) {
    if (!line) continue;
    const per = object.area ? object.area.per : 1;
    const from = data.first + Math.floor((frame - data.first) / per) * per;
    const to = Math.min(from + per, data.first + data.frames) - 1;
    const parts = [per > 1 ? `frames ${grouped(from)}\u2013${grouped(to)}` : `frame ${grouped(frame)}`];
    if (data.rate) parts.push(clock((per > 1 ? from : frame) / data.rate, true));
    const named = [['area', value(object.area, frame, 0)], ['score', value(object.score, frame, 2)], ['IoU', value(object.iou, frame, 3)]];
    for (const [name, text] of named) if (text !== null) parts.push(`${name} ${text}`);
    line.textContent = parts.join('  \u00b7  ');
  }
};
const unpoint = () => {
  for (const cursor of cursors) cursor.hidden = true;
  for (const { line } of readouts) if (line) line.textContent = '\u00a0';
};
const frameAt = (field, event) => {
  const box = field.getBoundingClientRect();
  const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  const frame = Math.floor(view.start + share * view.length);
  return Math.min(frame, data.first + data.frames - 1);
};
let drag = null;
for (const field of fields) {
  if (field.closest('.axis')) continue;
  field.addEventListener('pointermove', (event) => {
    const frame = frameAt(field, event);
    point(frame);
    if (!drag || drag.field !== field) return;
    const [a, b] = [Math.min(drag.frame, frame), Math.max(drag.frame, frame) + 1];
    drag.mark.style.left = `${100 * (a - view.start) / view.length}%`;
    drag.mark.style.width = `${100 * (b - a) / view.length}%`;
  });
  field.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || event.pointerType === 'touch' || event.target.closest('a')) return;
    drag = { field, frame: frameAt(field, event), x: event.clientX, mark: make('div', 'chosen') };
    field.append(drag.mark);
    field.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  field.addEventListener('pointerup', (event) => {
    if (!drag) return;
    const frame = frameAt(field, event);
    const [a, b] = [Math.min(drag.frame, frame), Math.max(drag.frame, frame) + 1];
    const moved = Math.abs(event.clientX - drag.x) > 6;
    drag.mark.remove();
    drag = null;
    if (moved) look(a, b - a);
  });
  field.addEventListener('pointercancel', () => { if (drag) drag.mark.remove(); drag = null; });
  field.addEventListener('pointerleave', () => { if (!drag) unpoint(); });
  field.addEventListener('dblclick', () => look(data.first, data.frames));
}

// Objects one by one.
const controls = document.getElementById('controls');
if (controls && data.objects.length > 1) {
  for (const object of data.objects) {
    const label = make('label');
    const box = make('input');
    box.type = 'checkbox';
    box.checked = true;
    box.addEventListener('change', () => {
      for (const part of all(`.o${object.object}`)) part.classList.toggle('hidden', !box.checked);
    });
    label.append(box, object.name);
    controls.append(label);
  }
}

// Pictures in full size.
const shots = all('.shot');
const viewer = make('dialog');
const frame = make('div', 'frame');
const bar = make('div', 'bar');
const caption = make('span', 'caption');
let shown = 0;
const show = (index) => {
  shown = (index + shots.length) % shots.length;
  const drawing = shots[shown].querySelector('.drawing').cloneNode(true);
  drawing.removeAttribute('tabindex');
  frame.replaceChildren(drawing, bar);
  const words = shots[shown].querySelector('figcaption').cloneNode(true);
  caption.replaceChildren(...words.childNodes);
};
const hideMasks = () => root.classList.toggle('no-masks');
const button = (text, action) => {
  const element = make('button', '', text);
  element.type = 'button';
  element.addEventListener('click', action);
  return element;
};
bar.append(
  button('\u2190 Previous', () => show(shown - 1)), button('Next \u2192', () => show(shown + 1)), caption,
  button('Hide or show masks (M)', hideMasks), button('Close', () => viewer.close()));
viewer.append(frame);
viewer.setAttribute('aria-label', 'Enlarged picture');
document.body.append(viewer);
shots.forEach((shot, index) => {
  const drawing = shot.querySelector('.drawing');
  drawing.setAttribute('tabindex', '0');
  const open = () => { show(index); viewer.showModal(); };
  drawing.addEventListener('click', open);
  drawing.addEventListener('keydown', (event) => { if (event.key === 'Enter') open(); });
  shot.addEventListener('pointerenter', () => point(Number(shot.dataset.frame)));
  shot.addEventListener('pointerleave', unpoint);
});
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches('input')) return;
  if (event.key === 'm' || event.key === 'M') hideMasks();
  if (!viewer.open) return;
  if (event.key === 'ArrowLeft') show(shown - 1);
  if (event.key === 'ArrowRight') show(shown + 1);
});
})();
