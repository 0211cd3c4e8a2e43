// SPDX-License-Identifier: Apache-2.0
// Runs before the first paint, so that a dark page is never white for a moment.
try {
  const theme = localStorage.getItem('holdfast.theme');
  document.documentElement.dataset.theme = theme === 'light' || theme === 'dark' ? theme : 'auto';
} catch {
  document.documentElement.dataset.theme = 'auto';
}
