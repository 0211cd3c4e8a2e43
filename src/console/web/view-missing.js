// SPDX-License-Identifier: Apache-2.0
import { h } from './dom.js';
import { empty, page } from './ui.js';

export function view() {
  return page('Nothing is here', {}, empty('There is no page at this address.', h('a', { href: '/' }, 'To the overview')));
}
