import type { Issue } from '../schema.ts'

/** One thing wrong with a configuration. Lines and columns count from 1; they are there for YAML and JSON. */
export interface ConfigFault {
  /** `routes[2].proxy`; '' for the configuration as a whole. */
  readonly path: string
  readonly message: string
  readonly line?: number
  readonly column?: number
}

/** Where in the text a path stands. `key` asks for the option's name instead of its value. */
export type Locate = (
  path: readonly (string | number)[],
  key?: string,
) => { readonly line: number; readonly column: number } | undefined

/**
 * The configuration cannot be used. Carries every fault that was found, in the order of the text where it is known;
 * the message is the printed form, one fault a line: `gateway.yaml:7:12: routes[2].maxBody: expected a size, got "10 bananas"`.
 */
export class ConfigError extends Error {
  readonly code = 'bad_configuration'
  readonly faults: readonly ConfigFault[]
  /** The file, or undefined for a configuration that came as an object. */
  readonly file: string | undefined

  constructor(faults: readonly ConfigFault[], file?: string, cause?: unknown) {
    super(printFaults(faults, file), cause === undefined ? undefined : { cause })
    this.name = 'ConfigError'
    this.faults = faults
    this.file = file
  }
}

/** Issues as faults, with their places in the text, in the order of the text; what has no place comes first. */
export function toFaults(issues: readonly Issue[], locate?: Locate): ConfigFault[] {
  const faults = issues.map(({ path, key, message }): ConfigFault => {
    const at = locate?.(path, key)
    return {
      path: printPath(path),
      message,
      ...(at === undefined ? {} : { line: at.line, column: at.column }),
    }
  })
  return faults.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
}

/** One fault a line. */
export function printFaults(faults: readonly ConfigFault[], file?: string): string {
  return faults.map((fault) => printFault(fault, file)).join('\n')
}

function printFault({ path, message, line, column }: ConfigFault, file: string | undefined): string {
  const place = line === undefined ? '' : `:${line}:${column ?? 1}`
  const where = file === undefined ? '' : `${file}${place}: `
  return `${where}${path === '' ? '' : `${path}: `}${message}`
}

/** `routes[2].match.headers["x-a.b"]`: names that are no plain words are quoted. */
export function printPath(path: readonly (string | number)[]): string {
  let printed = ''
  for (const step of path) {
    if (typeof step === 'number') printed += `[${step}]`
    else if (!/^[\w$-]+$/.test(step)) printed += `[${JSON.stringify(step)}]`
    else printed += printed === '' ? step : `.${step}`
  }
  return printed
}
