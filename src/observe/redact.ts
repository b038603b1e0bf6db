/** What never reaches a log: secrets in query strings, and whatever a Referer drags along. Pure and linear. */

// A name that contains one of these is a secret's; short words count only when they are the whole name, or
// `keyword`, `zipcode` and `passenger` would go too.
const secretParts = [
  'token',
  'secret',
  'password',
  'passwd',
  'passphrase',
  'session',
  'credential',
  'signature',
  'apikey',
  'accesskey',
  'authorization',
]
const secretNames = new Set([
  'key',
  'code',
  'auth',
  'sig',
  'sid',
  'pass',
  'pwd',
  'pin',
  'otp',
  'jwt',
  'bearer',
  'assertion',
  'samlresponse',
  'phpsessid',
  'jsessionid',
  'xamzcredential',
])

/** The query with the values of secret-looking names replaced by `redacted`; names, order and the rest as sent. */
export function redactQuery(query: string): string {
  let kept = ''
  let copied = 0
  for (let from = 0; from < query.length;) {
    const ampersand = query.indexOf('&', from)
    const end = ampersand < 0 ? query.length : ampersand
    const equals = query.indexOf('=', from)
    if (equals >= 0 && equals < end && equals + 1 < end && isSecretName(query.slice(from, equals))) {
      kept += `${query.slice(copied, equals + 1)}redacted`
      copied = end
    }
    from = end + 1
  }
  return copied === 0 ? query : kept + query.slice(copied)
}

/** Judges a parameter name as origins may read it: percent-decoded, case and punctuation aside (`api_key`, `X-Api-Key`). */
export function isSecretName(name: string): boolean {
  const known = judged.get(name)
  if (known !== undefined) return known
  const secret = judge(name)
  if (judged.size < maxJudged && name.length <= 64) judged.set(name, secret)
  return secret
}

// Sites use the same few names over and over. Bound: 1,024 names of 64 characters; further ones are judged each time.
const judged = new Map<string, boolean>()
const maxJudged = 1024

function judge(name: string): boolean {
  let decoded = name
  if (name.includes('%')) {
    try {
      decoded = decodeURIComponent(name)
    } catch {
      // Judged as it came.
    }
  }
  // `user[password]` and `;token` are read like their last word, too.
  const plain = decoded.toLowerCase().replace(/[^a-z0-9]/g, '')
  return secretNames.has(plain) || secretParts.some((part) => plain.includes(part))
}

/** Scheme, host and path of a Referer: its query, fragment and credentials stay out. */
export function redactReferer(referer: string): string {
  const cut = referer.search(/[?#]/)
  const bare = cut < 0 ? referer : referer.slice(0, cut)
  const at = bare.indexOf('@')
  if (at < 0) return bare
  const authority = bare.indexOf('//') + 2
  const slash = bare.indexOf('/', authority)
  if (authority < 2 || (slash >= 0 && at > slash)) return bare
  return bare.slice(0, authority) + bare.slice(bare.lastIndexOf('@', slash < 0 ? bare.length : slash) + 1)
}
