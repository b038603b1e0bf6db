import { parseArgs } from 'node:util'

export interface BenchOptions {
  readonly rounds: number
  /** Length of one measured window. */
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly only: string | undefined
  /** Names of peers, undefined for all. */
  readonly servers: readonly string[] | undefined
  readonly jsonFile: string | undefined
  readonly help: boolean
}

export const usage = `npm run bench -- [options]

  --quick           one round of short windows: a smoke test, no figures to quote
  --rounds N        rounds over all servers (3)
  --seconds S       length of one window (5)
  --only A,B        scenarios, by name or its beginning: tls, h1-100, h2
  --servers A,B     sluice, nginx, haproxy, http-proxy-3, node:https
  --json FILE       write all samples too
`

/** Throws an Error that a user understands. */
export function parseBenchArguments(words: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...words],
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      only: { type: 'string' },
      servers: { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false, short: 'h' },
    },
  })
  const seconds = count('seconds', values.seconds, values.quick ? 2 : 5)
  return {
    rounds: count('rounds', values.rounds, values.quick ? 1 : 3),
    seconds,
    // V8 needs about a second under load before its hot code is compiled.
    warmUpSeconds: values.quick ? 1 : Math.max(2, Math.round(seconds / 2)),
    only: values.only,
    servers: values.servers?.split(','),
    jsonFile: values.json,
    help: values.help,
  }
}

function count(name: string, written: string | undefined, fallback: number): number {
  if (written === undefined) return fallback
  const value = Number(written)
  // Whole numbers: wrk takes no fractions of a second.
  if (Number.isInteger(value) && value >= 1 && value <= 3_600) return value
  throw new Error(`--${name}: expected a whole number from 1 to 3600, got "${written}"`)
}
