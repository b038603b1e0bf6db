/** Where a verb writes and where it looks; handed in, so that tests see it. */
export interface Terminal {
  /** Whole lines, without the line feed. */
  out(line: string): void
  error(line: string): void
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The process's own. A reader that has gone (`sluice version | true`) is no reason to fail. */
export function processTerminal(): Terminal {
  process.stdout.on('error', () => {})
  process.stderr.on('error', () => {})
  return {
    out: (line) => void process.stdout.write(`${line}\n`),
    error: (line) => void process.stderr.write(`${line}\n`),
    env: process.env,
  }
}
