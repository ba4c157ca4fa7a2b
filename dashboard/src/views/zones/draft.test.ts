import { expect, test } from 'vitest';
import type { Area } from '../../state';
import { areaOf, begun, changed, draftOf, emptyDraft, labels, polygonOf, redone, undone, withCorner } from './draft';

const square = [[0, 0], [10, 0], [10, 10], [0, 10]] as [number, number][];
const hole = [[2, 2], [4, 2], [4, 4], [2, 4]] as [number, number][];

test('steps are undone and done again, and a new one forgets what was undone', () => {
  const first = changed(begun(emptyDraft()), { name: 'A' });
  const second = changed(first, { rings: [square] });
  expect(undone(second).now).toEqual({ name: 'A', tags: '', rings: [] });
  expect(undone(undone(undone(second))).now.name).toBe('');
  expect(redone(undone(second)).now.rings).toEqual([square]);
  expect(redone(changed(undone(second), { name: 'B' })).now.name).toBe('B');
});

test('typing is one step', () => {
  const typed = changed(changed(begun(emptyDraft()), { name: 'A' }), { name: 'AB' }, true);
  expect(undone(typed).now.name).toBe('');
});

test('holes are taken off', () => {
  expect(areaOf([square])).toBe(100);
  expect(areaOf([square, hole])).toBe(96);
  expect(areaOf([])).toBe(0);
});

test('rings are open here and closed on the way', () => {
  const draft = draftOf({ area_id: 'a', tags: ['x', 'y'], shape: { rings: [[...square, square[0]], hole] } } as unknown as Area);
  expect(draft.rings).toEqual([square, hole]);
  expect(draft.tags).toBe('x, y');
  expect(polygonOf(draft.rings).coordinates[1]).toHaveLength(5);
});

test('a corner comes in the middle of an edge, the last one too', () => {
  expect(withCorner(square, 3)[4]).toEqual([0, 5]);
  expect(withCorner(square, 0)[1]).toEqual([5, 0]);
});

test('labels are parted by commas', () => {
  expect(labels(' a, b,,a , ')).toEqual(['a', 'b']);
});
