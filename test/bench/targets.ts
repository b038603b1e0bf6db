import type { Results } from './results.ts'

/** What the gateway has to reach. `measured` is undefined when a server it compares is missing or failed. */
export interface Verdict {
  readonly target: string
  readonly measured: number | undefined
  readonly met: boolean
}

export function judge(results: Results): readonly Verdict[] {
  // Two workers bring twice the cores, less what a request costs more than with one.
  const dearer = results.ratio('two-workers', 'sluice x2', 'sluice x1')
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
      dearer === undefined ? undefined : 2 / dearer,
      1.7,
    ),
  ]
}

function atMost(what: string, measured: number | undefined, bound: number): Verdict {
  return { target: `${what} at most ${bound}`, measured, met: measured !== undefined && measured <= bound }
}

function atLeast(what: string, measured: number | undefined, bound: number): Verdict {
  return { target: `${what} at least ${bound}`, measured, met: measured !== undefined && measured >= bound }
}
