// Times are shown on the property's wall clock (the offset the server sends), because the desk's own
// sentences promise times on that clock.

import { T } from './texts.js';

const MINUTE = 60_000;
const DAY = 86_400_000;

let offset = -new Date().getTimezoneOffset() * MINUTE;

export function learnOffset(iso) {
  const match = /([+-])(\d\d):?(\d\d)$/.exec(iso);
  if (match) offset = (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3])) * MINUTE;
}

const wall = (ms) => new Date(ms + offset);
const two = (n) => String(n).padStart(2, '0');
export const dayOf = (ms) => Math.floor((ms + offset) / DAY);

export function clock(ms) {
  const at = wall(ms);
  return `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}`;
}

export function dateLabel(ms, now) {
  const days = dayOf(now) - dayOf(ms);
  if (days === 0) return '';
  if (days === 1) return T.yesterday;
  const at = wall(ms);
  if (days > 1 && days < 7) return T.weekdays[at.getUTCDay()];
  const [year, month, day] = [at.getUTCFullYear(), at.getUTCMonth() + 1, at.getUTCDate()];
  return year === wall(now).getUTCFullYear() ? T.date(month, day) : T.dateOfYear(year, month, day);
}

export function timeLabel(ms, now) {
  return `${dateLabel(ms, now)} ${clock(ms)}`.trim();
}
