import type { Issue } from '../schema.ts'
import type { Environment } from './resolve.ts'

/**
 * Puts environment variables into every string of a parsed file: `${NAME}`, or `${NAME:-default}` for one that is
 * unset or empty. `$${` stands for a literal `${`. What is put in is not looked at again. Keys stay as they are.
 * A variable that is missing, or a `${` that is not closed, is an issue with its path. Pure.
 */
export function expandEnvironment(value: unknown, env: Environment): { value: unknown; issues: Issue[] } {
  const issues: Issue[] = []
  return { value: expand(value, env, [], issues), issues }
}

type Path = readonly (string | number)[]

function expand(value: unknown, env: Environment, path: Path, issues: Issue[]): unknown {
  if (typeof value === 'string') return expandText(value, env, path, issues)
  if (Array.isArray(value)) return value.map((entry, at) => expand(entry, env, [...path, at], issues))
  if (typeof value !== 'object' || value === null) return value
  // fromEntries defines properties, so that a key "__proto__" stays a key and is refused as unknown.
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [key, expand(entry, env, [...path, key], issues)]),
  )
}

function expandText(text: string, env: Environment, path: Path, issues: Issue[]): string {
  if (!text.includes('${')) return text
  return text.replace(
    /\$\$\{|\$\{([^}]*)(\}?)/g,
    (whole: string, inside: string | undefined, close: string) => {
      if (inside === undefined) return '${'
      const match = close === '' ? null : /^([A-Za-z_]\w*)(?::-(.*))?$/s.exec(inside)
      if (match === null) {
        issues.push({
          path,
          message: `expected \${NAME} or \${NAME:-default}, got ${JSON.stringify(whole)}; write $\${ for a literal \${`,
        })
        return whole
      }
      const [, name, fallback] = match as unknown as [string, string, string | undefined]
      const found = Object.hasOwn(env, name) ? env[name] : undefined
      if (fallback !== undefined) return found === undefined || found === '' ? fallback : found
      if (found !== undefined) return found
      issues.push({
        path,
        message: `the environment variable ${name} is not set; \${${name}:-default} would give it a default`,
      })
      return whole
    },
  )
}
