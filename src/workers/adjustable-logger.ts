import type { Clock } from '../clock.ts'
import { type LogFields, type LogLevel, type Logger, jsonLogger } from '../log.ts'

/** A JSON-lines logger whose level a reload may change; everything that was handed the logger follows. */
export function adjustableLogger(
  write: (line: string) => void,
  level: LogLevel,
  clock: Clock,
  base: LogFields = {},
): { readonly logger: Logger; readonly setLevel: (level: LogLevel) => void } {
  const make = (at: LogLevel): Logger => jsonLogger(write, at, () => clock.wallMs(), base)
  let current = make(level)
  return {
    logger: {
      debug: (message, fields) => current.debug(message, fields),
      info: (message, fields) => current.info(message, fields),
      warn: (message, fields) => current.warn(message, fields),
      error: (message, fields) => current.error(message, fields),
    },
    setLevel(next) {
      current = make(next)
    },
  }
}
