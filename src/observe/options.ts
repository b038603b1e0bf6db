import { choice, filePath, oneOf, strictObject, whole, z } from '../schema.ts'
import type { Checked } from '../schema.ts'

export interface AccessLogOptions {
  readonly format: 'json' | 'combined' | 'off'
  /** `-` for standard output, else the absolute path of a file that is appended to. */
  readonly path: string
}

export interface TraceOptions {
  /** Exchanges kept by each worker; 0 turns tracing off. */
  readonly keep: number
}

export const accessLogSchema = strictObject({
  format: choice('json', 'combined', 'off')
    .prefault('json')
    .describe('`json`: one object a line. `combined`: as Apache and nginx write it. `off`: no access log.'),
  path: oneOf(z.literal('-'), filePath())
    .prefault('-')
    .describe('`-` for standard output, or a file to append to; reopened on reload, for log rotation.'),
})

export function resolveAccessLog(checked: Checked<typeof accessLogSchema>): AccessLogOptions {
  return { format: checked.format, path: checked.path }
}

export const traceSchema = oneOf(
  strictObject({ keep: whole(1, 100_000).prefault(1_000).describe('Exchanges kept by each worker.') }),
  z.literal(false),
)

export function resolveTrace(checked: Checked<typeof traceSchema>): TraceOptions {
  return { keep: checked === false ? 0 : checked.keep }
}
