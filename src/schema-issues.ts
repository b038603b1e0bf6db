/** Turns what zod has to say into sentences in our style, each with its own path. Pure. */
import type { z } from 'zod'
import { suggestion } from './spelling.ts'

/** One thing wrong with a value. The path leads from the root; `key` names an unknown option below it. */
export interface Issue {
  readonly path: readonly (string | number)[]
  readonly key?: string
  readonly message: string
}

/** What zod says of a union that has no message of its own. */
const unnamed = 'Invalid input'

type RawIssue = z.core.$ZodRawIssue
type FinalIssue = z.core.$ZodIssue

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
  function: 'a function',
}

/** `expected a size, got "10 bananas"`. Long values are cut. */
export function expected(what: string, got: unknown): string {
  return got === undefined ? `required, expected ${what}` : `expected ${what}, got ${describe(got)}`
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value)
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value)
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** The message of one raw issue; undefined leaves it to zod's own words. */
export function explain(issue: RawIssue): string | undefined {
  if (issue.code === 'invalid_type') return expected(typeNames[issue.expected] ?? issue.expected, issue.input)
  if (issue.code === 'invalid_value') {
    const words = issue.values.map((value) => (typeof value === 'string' ? `"${value}"` : String(value)))
    return expected(anyOf(words), issue.input)
  }
  if (issue.code === 'too_small') {
    const entries = issue.minimum === 1 ? 'entry' : 'entries'
    return issue.origin === 'array'
      ? `expected at least ${issue.minimum} ${entries}`
      : expected(`${issue.minimum} or more`, issue.input)
  }
  if (issue.code === 'too_big') {
    return issue.origin === 'array'
      ? `expected at most ${issue.maximum} entries`
      : issue.origin === 'string'
        ? `expected at most ${issue.maximum} characters`
        : expected(`${issue.maximum} or less`, issue.input)
  }
  if (issue.code === 'unrecognized_keys') {
    const shape = (issue.inst as { _zod?: { def?: { shape?: object } } } | undefined)?._zod?.def?.shape ?? {}
    const known = Object.keys(shape)
    // One line a key: `flatten` takes them apart again.
    return issue.keys.map((key) => `unknown option ${describe(key)}${suggestion(key, known)}`).join('\n')
  }
  return undefined
}

/** One zod issue as our own: one for each unknown key; for a union those of the branch that was meant. */
export function flatten(issue: FinalIssue, prefix: readonly (string | number)[] = []): Issue[] {
  const path = [...prefix, ...issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step))]
  if (issue.code === 'unrecognized_keys') {
    const lines = issue.message.split('\n')
    return issue.keys.map((key, at) => ({ path, key, message: lines[at] ?? issue.message }))
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.map((inner) => ({ path, message: `bad name: ${inner.message}` }))
  }
  // A union that names itself ("expected a duration") knows better than its branches.
  if (issue.code === 'invalid_union' && issue.message === unnamed) {
    const branches: readonly (readonly FinalIssue[])[] = issue.errors
    const meant = branches
      .filter((issues) => !issues.some((inner) => missesType(inner, issue.input)))
      .toSorted((a, b) => a.length - b.length)[0]
    if (meant !== undefined) return meant.flatMap((inner) => flatten(inner, path))
    return [{ path, message: alternatives(branches, issue.input) }]
  }
  return [{ path, message: issue.message }]
}

/** Whether a branch failed because something else altogether was written, not because of a fault inside. */
function missesType(issue: FinalIssue, input: unknown): boolean {
  if (issue.path.length > 0) return false
  if (issue.code === 'custom') return typeof input !== 'object' || input === null
  return (
    issue.code === 'invalid_type' ||
    issue.code === 'invalid_value' ||
    issue.code === 'invalid_union' ||
    issue.code === 'invalid_format'
  )
}

/** What would have been right, of all branches; for text of those that take text, when there are any. */
function alternatives(branches: readonly (readonly FinalIssue[])[], input: unknown): string {
  const near = typeof input === 'string' ? branches.filter((issues) => !issues.some(takesNoText)) : []
  const got = `, got ${describe(input)}`
  const wanted = new Set<string>()
  let secret = false
  for (const { path, message } of (near.length > 0 ? near : branches)
    .flat()
    .flatMap((issue) => flatten(issue))) {
    const found = /^(?:required, )?expected (.*)$/s.exec(message)?.[1]
    if (path.length > 0 || found === undefined) continue
    // A branch that does not repeat the value takes it for a secret.
    secret ||= typeof input === 'string' && !found.endsWith(got)
    wanted.add(found.endsWith(got) ? found.slice(0, -got.length) : found)
  }
  return secret ? `expected ${anyOf([...wanted])}` : expected(anyOf([...wanted]), input)
}

function takesNoText(issue: FinalIssue): boolean {
  if (issue.path.length > 0) return false
  if (issue.code === 'invalid_value') return !issue.values.some((value) => typeof value === 'string')
  return issue.code === 'invalid_type'
}

function anyOf(words: readonly string[]): string {
  if (words.length < 2) return words[0] ?? 'something else'
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}
