import { expect, it } from 'vitest'
import { RoundRobin } from '../../src/upstream/round-robin.ts'

const picks = (weights: number[], count: number) => {
  const order = new RoundRobin(weights)
  return Array.from({ length: count }, () => 'abc'[order.next()]).join('')
}

it.each([
  [[1], 'aaa'],
  [[1, 1], 'abab'],
  [[5, 1, 1], 'aabacaaaabacaa'],
  [[2, 1], 'abaaba'],
  [[1, 0, 1], 'acac'],
  [[0, 0], 'abab'],
])('weights %j give %s', (weights, expected) => {
  expect(picks(weights, expected.length)).toBe(expected)
})
