import type { Ability } from './servers/peer.ts'
import { originBytes } from './servers/origin.ts'
import { smallBody } from './servers/peer.ts'

interface Common {
  /** For `--only`. */
  readonly name: string
  readonly title: string
  readonly needs: readonly Ability[]
  readonly protocol: 'h1' | 'h2'
}

/** Requests from wrk (HTTP/1.1) or h2load (HTTP/2), as many as the server answers. */
export interface LoadScenario extends Common {
  readonly kind: 'load'
  readonly path: string
  /** Size of a good answer, checked before the load begins. */
  readonly answerBytes: number
  /** POST with a body of that many bytes; undefined: GET. */
  readonly postBytes: number | undefined
  readonly connections: number
  /** HTTP/2 streams at a time on each of them. */
  readonly streams: number
  /**
   * `split`: the server has one core for itself, the load generator and the origin the other.
   * `shared`: all have both, and each server is measured once with one worker and once with two.
   */
  readonly cores: 'split' | 'shared'
}

export interface HandshakeScenario extends Common {
  readonly kind: 'handshake'
  readonly resumed: boolean
}

export interface IdleScenario extends Common {
  readonly kind: 'idle'
  readonly connections: number
}

export type Scenario = LoadScenario | HandshakeScenario | IdleScenario

/** Whether it is measured with one worker and with two, all on both cores. */
export function isShared(scenario: Scenario): boolean {
  return scenario.kind === 'load' && scenario.cores === 'shared'
}

const small = smallBody.length

export const scenarios: readonly Scenario[] = [
  handshake('tls-full', 'TLS 1.3 handshake, full', false),
  handshake('tls-resumed', 'TLS 1.3 handshake, resumed', true),
  load('h1-static', 'static answer of 100 B', 'h1', '/static', small, 32),
  load('h1-100', 'pass-through of 100 B', 'h1', '/', small, 32),
  load('h1-10k', 'pass-through of 10 KiB', 'h1', '/10k', originBytes['/10k'], 32),
  load('h1-1m', 'pass-through of 1 MiB', 'h1', '/1m', originBytes['/1m'], 8),
  load('h1-post-10k', 'POST of 10 KiB', 'h1', '/', small, 32, { postBytes: 10 * 1024 }),
  load('h2-static', 'static answer of 100 B', 'h2', '/static', small, 8, { streams: 8 }),
  load('h2-100', 'pass-through of 100 B', 'h2', '/', small, 8, { streams: 8 }),
  load('h2-10k', 'pass-through of 10 KiB', 'h2', '/10k', originBytes['/10k'], 8, { streams: 8 }),
  load('h2-1m', 'pass-through of 1 MiB', 'h2', '/1m', originBytes['/1m'], 4, { streams: 2 }),
  // As many connections for each of two workers as one has above: a worker that finds less to do at a time
  // does it dearer.
  load('two-workers', 'pass-through of 100 B, one worker and two, all on both cores', 'h1', '/', small, 64, {
    cores: 'shared',
  }),
  {
    kind: 'idle',
    name: 'idle',
    title: 'resident memory with 2,000 idle TLS connections',
    protocol: 'h1',
    needs: ['idle'],
    connections: 2_000,
  },
]

/**
 * Those that a comma-separated list names, by whole name or by its beginning. Throws on a word that names
 * none.
 */
export function chooseScenarios(only: string | undefined): readonly Scenario[] {
  if (only === undefined) return scenarios
  const chosen = new Set<Scenario>()
  for (const word of only.split(',')) {
    const exact = scenarios.filter(({ name }) => name === word)
    const matching = exact.length > 0 ? exact : scenarios.filter(({ name }) => name.startsWith(word))
    if (matching.length === 0) {
      throw new Error(`no scenario "${word}"; there are: ${scenarios.map(({ name }) => name).join(', ')}`)
    }
    for (const scenario of matching) chosen.add(scenario)
  }
  return scenarios.filter((scenario) => chosen.has(scenario))
}

function handshake(name: string, title: string, resumed: boolean): HandshakeScenario {
  return { kind: 'handshake', name, title, protocol: 'h1', needs: ['handshake'], resumed }
}

function load(
  name: string,
  title: string,
  protocol: 'h1' | 'h2',
  path: string,
  answerBytes: number,
  connections: number,
  more: { readonly postBytes?: number; readonly streams?: number; readonly cores?: 'shared' } = {},
): LoadScenario {
  const { postBytes, streams = 1, cores = 'split' } = more
  const how = protocol === 'h1' ? 'HTTP/1.1' : 'HTTP/2'
  const many =
    streams > 1 ? `${connections} connections with ${streams} streams` : `${connections} connections`
  const serving = path === '/static' ? 'static' : 'proxy'
  return {
    kind: 'load',
    name,
    title: `${title}; ${how} over TLS, ${many}`,
    needs: [`${protocol} ${serving}`, ...(cores === 'shared' ? ['workers' as const] : [])],
    protocol,
    path,
    answerBytes,
    postBytes,
    connections,
    streams,
    cores,
  }
}
