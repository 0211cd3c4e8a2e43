// SPDX-License-Identifier: Apache-2.0
// What a person chose for this browser: appearance and time zone.  Without storage (private windows) it lasts as long as the page.

const memory = new Map();
function read(key) {
  try {
    return localStorage.getItem('holdfast.' + key);
  } catch {
    return memory.get(key) ?? null;
  }
}
function write(key, value) {
  memory.set(key, value);
  try {
    localStorage.setItem('holdfast.' + key, value);
  } catch { /* kept in memory */ }
}

const listeners = new Set();
export const onPrefs = (run) => listeners.add(run);
const tell = () => listeners.forEach((run) => run());

export const theme = () => (['light', 'dark'].includes(read('theme')) ? read('theme') : 'auto');
export function setTheme(value) {
  write('theme', value);
  applyTheme();
  tell();
}
export function applyTheme() {
  document.documentElement.dataset.theme = theme();
}
export const isUtc = () => read('zone') === 'utc';
export function setUtc(on) {
  write('zone', on ? 'utc' : 'local');
  tell();
}
