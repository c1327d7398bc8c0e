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
// The flags of an object on frames `from` to `to`. Spans are in order, and there may be thousands.
const flagsOf = (number, from, to) => data.flagged.filter(({ object, spans }) => {
  if (object !== undefined && object !== number) return false;
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spans[middle][1] < from) low = middle + 1; else high = middle;
  }
  return low < spans.length && spans[low][0] <= to;
}).map(({ flag }) => flag);
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
    const named = [['area', value(object.area, frame, 0)], ['score', value(object.score, frame, 2)], ['IoU', value(object.iou, frame, 3)],
      ['agreement', value(object.agreement, frame, 3)]];
    for (const [name, text] of named) if (text !== null) parts.push(`${name} ${text}`);
    parts.push(...flagsOf(object.object, from, to));
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

// Something to copy: with the clipboard where the browser gives it, else by selecting the text.
const button = (text, action) => {
  const element = make('button', '', text);
  element.type = 'button';
  element.addEventListener('click', action);
  return element;
};
const status = () => {
  const element = make('span', 'said');
  element.setAttribute('role', 'status');
  return element;
};
const copy = async (text, said) => {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = make('textarea');
    field.value = text;
    (viewer.open ? viewer : document.body).append(field);
    field.select();
    done = document.execCommand('copy');
    field.remove();
  }
  said.textContent = done ? 'Copied' : 'The browser does not let this page copy: select the text';
  setTimeout(() => { said.textContent = ''; }, 4000);
};

// Pictures in full size, with a place in them to be copied as a prompt.
const shots = all('.shot');
const viewer = make('dialog');
const frame = make('div', 'frame');
const bar = make('div', 'bar');
const picker = make('div', 'bar picker');
const caption = make('span', 'caption');
const [width, height] = data.size;
let shown = 0;
const frameOf = (shot) => Number(shot.dataset.frame);
const show = (index) => {
  shown = (index + shots.length) % shots.length;
  const drawing = shots[shown].querySelector('.drawing').cloneNode(true);
  frame.replaceChildren(drawing, picker, bar);
  const words = shots[shown].querySelector('figcaption').cloneNode(true);
  caption.replaceChildren(...words.childNodes);
  drawing.addEventListener('pointermove', (event) => say(placeOf(drawing, event)));
  drawing.addEventListener('pointerleave', () => say(null));
  drawing.addEventListener('click', (event) => {
    const at = placeOf(drawing, event);
    if (at) [column.value, row.value] = at;
    choose();
  });
  say(null);
  choose();
};
// The recording's pixel below the pointer, also in the enlarged part; null outside.
const placeOf = (drawing, event) => {
  const matrix = drawing.getScreenCTM();
  if (!matrix) return null;
  let { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
  const inset = drawing.querySelector('.inset svg');
  if (inset) {
    const [left, top, wide, high] = ['x', 'y', 'width', 'height'].map((name) => Number(inset.getAttribute(name)));
    const part = inset.viewBox.baseVal;
    if (x >= left && x < left + wide && y >= top && y < top + high) {
      x = part.x + (x - left) / wide * part.width;
      y = part.y + (y - top) / high * part.height;
    }
  }
  const whole = drawing.viewBox.baseVal;
  const at = [Math.floor(x / whole.width * width), Math.floor(y / whole.height * height)];
  return at[0] >= 0 && at[1] >= 0 && at[0] < width && at[1] < height ? at : null;
};
const pointer = make('span', 'pointer');
const say = (at) => {
  const number = grouped(frameOf(shots[shown]));
  pointer.textContent = at ? `Frame ${number}: x ${at[0]}, y ${at[1]}` : 'Click a place, or type it:';
};
const labelled = (text, element) => {
  const label = make('label', '', text);
  label.append(element);
  return label;
};
const number = (most) => {
  const element = make('input');
  Object.assign(element, { type: 'number', min: 0, max: most - 1, step: 1 });
  element.addEventListener('input', () => choose());
  return element;
};
const choice = (options) => {
  const element = make('select');
  for (const [text, value] of options) element.append(new Option(text, value));
  element.addEventListener('change', () => choose());
  return element;
};
const column = number(width), row = number(height);
const whose = choice(data.objects.map((object) => [object.name, object.object]));
const side = choice([['on it', ''], ['beside it', ':-']]);
const prompt = make('input');
prompt.readOnly = true;
prompt.setAttribute('aria-label', 'The place as an option of sam2 segment');
const copied = status();
const copier = button('Copy', () => copy(prompt.value, copied));
// Marks the chosen place and says it as an option.
const choose = () => {
  const drawing = frame.querySelector('.drawing');
  for (const old of all('.cross', frame)) old.remove();
  const [x, y] = [column, row].map((field) => (field.value === '' ? -1 : Number(field.value)));
  const sound = x >= 0 && y >= 0 && x < width && y < height;
  copier.disabled = !sound;
  prompt.value = sound ? `--point ${frameOf(shots[shown])}:${x},${y}:${whose.value || 1}${side.value}` : '';
  if (!sound || !drawing) return;
  const whole = drawing.viewBox.baseVal;
  const [a, b] = [(x + 0.5) / width * whole.width, (y + 0.5) / height * whole.height];
  const cross = document.createElementNS(drawing.namespaceURI, 'g');
  cross.setAttribute('class', 'cross');
  for (let line = 0; line < 2; line += 1) {
    const path = document.createElementNS(drawing.namespaceURI, 'path');
    path.setAttribute('d', `M0 ${b}H${whole.width}M${a} 0V${whole.height}`);
    cross.append(path);
  }
  drawing.append(cross);
};
const hideMasks = () => root.classList.toggle('no-masks');
picker.append(pointer, labelled('x', column), labelled('y', row));
if (data.objects.length > 1) picker.append(labelled('object', whose));
picker.append(labelled('point', side), prompt, copier);
// The command that opens the frame where it can be corrected.
if (data.run) {
  const name = /^[\w.,:=+/-]+$/.test(data.run) ? data.run : `'${data.run.replaceAll("'", "'\\''")}'`;
  const told = () => `sam2 review ${name} --frame ${frameOf(shots[shown])}${data.objects.length > 1 ? ` --object ${whose.value}` : ''}`;
  picker.append(button('Copy the command to correct it', () => copy(told(), copied)));
}
picker.append(copied);
const next = button('Next \u2192', () => show(shown + 1));
// Not the first field, in which the arrow keys mean something else.
next.autofocus = true;
bar.append(
  button('\u2190 Previous', () => show(shown - 1)), next, caption,
  button('Hide or show masks (M)', hideMasks), button('Close', () => viewer.close()));
viewer.append(frame);
viewer.setAttribute('aria-label', 'Enlarged picture');
document.body.append(viewer);
shots.forEach((shot, index) => {
  const drawing = shot.querySelector('.drawing');
  const open = button('', () => { show(index); viewer.showModal(); });
  open.className = 'open';
  open.setAttribute('aria-haspopup', 'dialog');
  open.setAttribute('aria-label', `Enlarge: ${drawing.getAttribute('aria-label')}`);
  drawing.replaceWith(open);
  open.append(drawing);
  const coordinates = make('span', 'coords');
  coordinates.hidden = true;
  coordinates.setAttribute('aria-hidden', 'true');
  shot.append(coordinates);
  drawing.addEventListener('pointermove', (event) => {
    const at = event.pointerType === 'touch' ? null : placeOf(drawing, event);
    coordinates.hidden = !at;
    if (at) coordinates.textContent = `${grouped(frameOf(shot))}: ${at[0]}, ${at[1]}`;
  });
  drawing.addEventListener('pointerleave', () => { coordinates.hidden = true; });
  shot.addEventListener('pointerenter', () => point(frameOf(shot)));
  shot.addEventListener('pointerleave', unpoint);
});
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches('input, select')) return;
  if (event.key === 'm' || event.key === 'M') hideMasks();
  if (!viewer.open) return;
  if (event.key === 'ArrowLeft') show(shown - 1);
  if (event.key === 'ArrowRight') show(shown + 1);
});

// The command, to be copied.
const command = document.getElementById('command');
if (command) {
  const said = status();
  const line = make('p', 'scripted');
  line.append(button('Copy the command', () => copy(command.textContent, said)), said);
  command.parentElement.after(line);
}

// Flagged frames as a file: a row for each frame, object and flag.
const list = () => {
  const rows = [];
  for (const { object, flag, spans } of data.flagged) {
    const owner = data.objects.find((one) => one.object === object);
    for (const [first, last] of spans) {
      for (let at = first; at <= last; at += 1) rows.push([at, object ?? '', (owner && owner.own) ?? '', flag]);
    }
  }
  rows.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const cell = (value) => (/[",\r\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
  return ['frame,object,name,flag', ...rows.map((cells) => cells.map(cell).join(','))].join('\n') + '\n';
};
const download = document.getElementById('download');
if (download) {
  const save = button('Download the flagged frames (CSV)', () => {
    const link = make('a');
    link.href = URL.createObjectURL(new Blob([list()], { type: 'text/csv' }));
    link.download = `${data.recording.replace(/[/\\:*?"<>|]/g, '_')}-flagged.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
  download.append(save);
  if (data.flagged_is_cut) download.append(make('span', 'said', 'The first 50,000 spans only.'));
}
})();
