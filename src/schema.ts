/**
 * The vocabulary of the configuration: zod behind our own words, the one file that imports it.
 *
 * A room describes what users may write in its `options.ts`:
 *
 *     export const retrySchema = strictObject({
 *       attempts: whole(1, 10).prefault(2).describe('Attempts for one request, the first included.'),
 *       delay: duration().prefault('50ms').describe('Pause before the second attempt.'),
 *     })
 *     export function resolveRetry(checked: Checked<typeof retrySchema>): RetryOptions { ... }
 *
 * Defaults stand in the schema as users would write them (`prefault`), and every option has a description: the option
 * table, the JSON Schema and the documented types of `defineGateway` are made from it. What comes out (`Checked`) has
 * durations in milliseconds, sizes in bytes, addresses parsed and paths absolute.
 *
 * Habits of zod that are tamed here: unknown keys are faults (`strictObject`), messages say what was expected and what
 * was got, records keep `__proto__` out, a union answers with the faults of the branch that was meant.
 */
import { resolve } from 'node:path'
import { z } from 'zod'
import { type Cidr, type ListenAddress, parseCidr, parseListenAddress } from './net-address.ts'
import { type EndpointAddress, parseEndpoint, parseHostPattern } from './origin-address.ts'
import { maxDurationMs, parseDuration, parseSize, printDuration, printSize } from './quantities.ts'
import { expected, explain, flatten, type Issue } from './schema-issues.ts'

export { z }
export type { Issue }

export type Schema = z.ZodType
/** What users may write. */
export type Authored<T extends z.ZodType> = z.input<T>
/** What comes out of the check: defaults filled in, units gone. */
export type Checked<T extends z.ZodType> = z.output<T>

export type CheckResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly issues: readonly Issue[] }

// Set while one `check` runs, which is synchronous: zod hands no context to transforms.
let baseFolder = '.'

/** Checks a value; relative paths in it are taken from `baseDir`. Reports everything that is wrong. Never throws on bad input. */
export function check<T extends z.ZodType>(
  schema: T,
  value: unknown,
  baseDir: string,
): CheckResult<z.output<T>> {
  const before = baseFolder
  baseFolder = baseDir
  try {
    const result = schema.safeParse(value, { error: explain, reportInput: true })
    if (result.success) return { ok: true, value: result.data }
    return { ok: false, issues: result.error.issues.flatMap((issue) => flatten(issue)) }
  } finally {
    baseFolder = before
  }
}

/** Milliseconds, from "500ms", "10s", "1h30m" or a number of milliseconds. */
export function duration(least = 0, most = maxDurationMs) {
  const what = `a duration${range(least, most, maxDurationMs, printDuration)} such as "10s"`
  return z
    .union([z.string().meta({ examples: ['500ms', '10s', '5m'] }), z.number()], {
      error: (issue) => expected(what, issue.input),
    })
    .transform((written, context) => {
      const value = typeof written === 'string' ? parseDuration(written) : Math.round(written)
      return value !== undefined && value >= least && value <= most ? value : refuse(context, what)
    })
    .meta({ typeName: 'Duration' })
}

/** Bytes, from "10MiB", "64KiB", "1MB" or a number of bytes. */
export function size(least = 0, most = Number.MAX_SAFE_INTEGER) {
  const what = `a size${range(least, most, Number.MAX_SAFE_INTEGER, printSize)} such as "10MiB"`
  return z
    .union([z.string().meta({ examples: ['64KiB', '10MiB', '1GiB'] }), z.number()], {
      error: (issue) => expected(what, issue.input),
    })
    .transform((written, context) => {
      const value = typeof written === 'string' ? parseSize(written) : written
      const fits = value !== undefined && Number.isSafeInteger(value) && value >= least && value <= most
      return fits ? value : refuse(context, what)
    })
    .meta({ typeName: 'Size' })
}

/** A whole number from `least` to `most`. Text is accepted for the sake of `${ENV}`. */
export function whole(least: number, most: number) {
  const what = `a whole number from ${least} to ${most}`
  const number = z.number().meta({ type: 'integer', minimum: least, maximum: most })
  return z
    .union([number, z.string()], { error: (issue) => expected(what, issue.input) })
    .transform((written, context) => {
      const value = typeof written === 'string' && !/^\d{1,15}$/.test(written) ? Number.NaN : Number(written)
      return Number.isInteger(value) && value >= least && value <= most ? value : refuse(context, what)
    })
    .meta({ typeName: 'number' })
}

/** true or false; "true" and "false" are accepted for the sake of `${ENV}`. */
export function flag() {
  const what = 'true or false'
  return z
    .union([z.boolean(), z.string()], { error: (issue) => expected(what, issue.input) })
    .transform((written, context) => {
      if (typeof written === 'boolean') return written
      return written === 'true' ? true : written === 'false' ? false : refuse(context, what)
    })
    .meta({ typeName: 'boolean' })
}

/** Text of 1 to `most` characters without control characters. */
export function text(what = 'text', most = 1_000) {
  return parsed(`${what} of 1 to ${most} characters`, (written) =>
    // oxlint-disable-next-line no-control-regex
    written.length > 0 && written.length <= most && !/[\u0000-\u001f\u007f]/.test(written)
      ? written
      : undefined,
  )
}

/** A name for logs, metrics and references: letters, digits, `.`, `_`, `-`; at most 64. */
export function name() {
  return parsed('a name (letters, digits, ".", "_", "-"; at most 64)', (written) =>
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(written) ? written : undefined,
  )
}

/** Where to listen: ":8443", "127.0.0.1:8080", "[::1]:443", "unix:/run/app.sock" (relative paths from the configuration's folder). */
export function address() {
  return parsed<ListenAddress>(
    'an address such as ":8443", "127.0.0.1:8080", "[::1]:443" or "unix:/run/app.sock"',
    (written) => {
      const found = parseListenAddress(written)
      return found?.kind === 'unix' ? { ...found, path: resolve(baseFolder, found.path) } : found
    },
  )
}

/** A network, "10.0.0.0/8" or "2001:db8::/32", or one address. */
export function cidr() {
  return parsed<Cidr>(
    'a network such as "10.0.0.0/8" (no bits set after the prefix) or an IP address',
    parseCidr,
  )
}

/** "api.example.com", "*.example.com" or "*"; lower case comes out. */
export function hostPattern() {
  return parsed(
    'a host without port, such as "api.example.com" or "*.example.com" (a star stands for whole labels at the left end)',
    parseHostPattern,
  )
}

/** An origin: "http://127.0.0.1:3000", "https://origin.example", "unix:/run/app.sock". */
export function endpointUrl() {
  return parsed<EndpointAddress>(
    'an origin such as "http://127.0.0.1:3000", "https://origin.example" or "unix:/run/app.sock" (no path)',
    (written) => {
      const found = parseEndpoint(written)
      if (found?.kind !== 'unix') return found
      const path = resolve(baseFolder, found.path)
      return { kind: 'unix', path, text: `unix:${path}` }
    },
  )
}

/** An absolute http or https URL without credentials. */
export function httpUrl() {
  return parsed('a URL such as "https://example.com/path"', (written) => {
    const url = /^https?:\/\//i.test(written) && URL.canParse(written) ? new URL(written) : undefined
    return url !== undefined && url.username === '' && url.password === '' ? url.href : undefined
  })
}

/** A field name (RFC 9110 §5.1), case kept. */
export function headerName() {
  return parsed('a header name', (written) =>
    /^[\w!#$%&'*+.^`|~-]{1,256}$/.test(written) ? written : undefined,
  )
}

/** A field value (RFC 9110 §5.5) without controls or characters beyond Latin-1; white space around it goes. It may be a secret: never repeated in messages. */
export function headerValue() {
  return parsed(
    'a header value (no line breaks or control characters, at most 8000 characters)',
    (written) =>
      written.length <= 8_000 && /^[\t\x20-\x7e\x80-\xff]*$/.test(written) ? written.trim() : undefined,
    true,
  )
}

/** A file's path; comes out absolute, relative ones are taken from the configuration's folder. */
export function filePath() {
  return parsed('a file path', (written) =>
    written !== '' && !written.includes('\0') ? resolve(baseFolder, written) : undefined,
  )
}

/** An object whose unknown keys are faults. */
export function strictObject<T extends z.core.$ZodLooseShape>(shape: T) {
  return z.strictObject(shape)
}

/** One of several shapes. Faults are those of the branch that has the type of what was written. */
export function oneOf<const T extends readonly [z.ZodType, z.ZodType, ...z.ZodType[]]>(...branches: T) {
  return z.union(branches)
}

/** One of the given words. */
export function choice<const T extends readonly (string | number)[]>(...values: T) {
  return z.literal(values)
}

/** A list of at most `most` entries. */
export function listOf<T extends z.ZodType>(entry: T, most = 10_000) {
  return z.array(entry).max(most)
}

/** One entry, or a list of them; a list comes out. */
export function oneOrMore<T extends z.ZodType>(entry: T, most = 1_000) {
  return z
    .union([entry, z.array(entry).min(1).max(most)])
    .transform((written) => (Array.isArray(written) ? written : [written]) as z.output<T>[])
}

/** A table from names to entries, at most `most` of them. */
export function tableOf<K extends z.ZodType<string, string>, T extends z.ZodType>(
  key: K,
  entry: T,
  most = 10_000,
) {
  return z
    .record(key, entry)
    .refine((table) => Object.keys(table).length <= most, `expected at most ${most} entries`)
}

/** Text that a pure parser understands; it answers undefined for what it does not. */
function parsed<T>(what: string, parse: (written: string) => T | undefined, secret = false) {
  return z
    .string({
      error: (issue) => expected(what, secret && typeof issue.input === 'string' ? undefined : issue.input),
    })
    .transform((written, context) => parse(written) ?? refuse(context, what, secret))
}

function refuse(context: z.RefinementCtx, what: string, secret = false): never {
  context.issues.push({
    code: 'custom',
    message: secret ? `expected ${what}` : expected(what, context.value),
    input: context.value,
  })
  return z.NEVER
}

function range(least: number, most: number, open: number, print: (value: number) => string): string {
  if (least === 1 && most >= open) return ' above 0'
  if (least > 0 && most < open) return ` from ${print(least)} to ${print(most)}`
  if (least > 0) return ` of ${print(least)} or more`
  return most < open ? ` up to ${print(most)}` : ''
}
