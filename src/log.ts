/** The runtime log: what happened to the gateway itself. (The access log is in observe/.) */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Flat facts beside a message. Never put secrets, header values or raw paths here. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

const order: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

/** One JSON object a line: time, level, message, then the fields. `write` gets whole lines. */
export function jsonLogger(
  write: (line: string) => void,
  level: LogLevel = 'info',
  wallMs: () => number = Date.now,
  base: LogFields = {},
): Logger {
  const threshold = order.indexOf(level)
  const emit = (at: LogLevel) =>
    order.indexOf(at) < threshold
      ? () => {}
      : (message: string, fields?: LogFields) => {
          const time = new Date(wallMs()).toISOString()
          write(`${JSON.stringify({ time, level: at, message, ...base, ...fields })}\n`)
        }
  return { debug: emit('debug'), info: emit('info'), warn: emit('warn'), error: emit('error') }
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} }
