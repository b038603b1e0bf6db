/**
 * Checks a request target in origin form: begins with `/`, visible ASCII only, no fragment.
 * Characters that RFC 3986 wants encoded (`"<>\^{|}` and the grave accent) pass, as they do through nginx: browsers send some of them.
 * Returns the target, or undefined when it must be refused.
 * @see RFC 9112 §3.2.1
 */
export function checkTarget(text: string): string | undefined {
  if (text.charCodeAt(0) !== 0x2f) return undefined
  for (let i = 1; i < text.length; i += 1) {
    const code = text.charCodeAt(i)
    if (code < 0x21 || code > 0x7e || code === 0x23) return undefined
  }
  return text
}

export interface AbsoluteTarget {
  readonly scheme: 'http' | 'https'
  /** As written; still to be read by parseAuthority, which refuses user information. */
  readonly authority: string
  /** Origin form, at least `/`. */
  readonly target: string
}

/**
 * Takes apart a target in absolute form. Undefined when it is none, or when its scheme is not http or https.
 * @see RFC 9112 §3.2.2
 */
export function parseAbsoluteTarget(text: string): AbsoluteTarget | undefined {
  const start = text.slice(0, 8).toLowerCase()
  const scheme = start.startsWith('http://') ? 'http' : start === 'https://' ? 'https' : undefined
  if (scheme === undefined) return undefined
  const from = scheme.length + 3
  let end = from
  while (end < text.length) {
    const code = text.charCodeAt(end)
    if (code === 0x2f || code === 0x3f) break
    end += 1
  }
  const rest = text.slice(end)
  const target = checkTarget(rest.startsWith('/') ? rest : `/${rest}`)
  return target === undefined ? undefined : { scheme, authority: text.slice(from, end), target }
}
