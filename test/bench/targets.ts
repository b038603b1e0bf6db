import type { Results } from './results.ts'

/** What the gateway has to reach. `measured` is undefined when a server it compares is missing or failed. */
export interface Verdict {
  readonly target: string
  readonly measured: number | undefined
  readonly met: boolean
}

export function judge(results: Results): readonly Verdict[] {
  return [
    atMost(
      'pass-through of 100 B over TLS, HTTP/1.1: CPU against nginx',
      results.ratio('h1-100', 'sluice', 'nginx'),
      2.2,
    ),
    atMost(
      'pass-through of 100 B over TLS, HTTP/1.1: CPU against bare http-proxy-3',
      results.ratio('h1-100', 'sluice', 'http-proxy-3'),
      0.45,
    ),
    atLeast(
      'two workers on two cores against one: requests per processor second',
      gainOfTwo(results, 'sluice'),
      1.7,
    ),
  ]
}

/** Two workers bring twice the cores, less what a request costs more than with one. */
export function gainOfTwo(results: Results, server: string): number | undefined {
  const dearer = results.ratio('two-workers', `${server} x2`, `${server} x1`)
  return dearer === undefined ? undefined : 2 / dearer
}

function atMost(what: string, measured: number | undefined, bound: number): Verdict {
  return { target: `${what} at most ${bound}`, measured, met: measured !== undefined && measured <= bound }
}

function atLeast(what: string, measured: number | undefined, bound: number): Verdict {
  return { target: `${what} at least ${bound}`, measured, met: measured !== undefined && measured >= bound }
}
