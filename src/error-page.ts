import { STATUS_CODES } from 'node:http'
import type { RawFields } from './http/fields.ts'

/**
 * The bodies of answers that the gateway makes itself: what a person or a program reads when no origin answered.
 * Decides the form by Accept: HTML for browsers, which list `text/html`; plain text for who prefers it; JSON
 * (RFC 9457 problem details) for all others, `*` + `/*` and a missing Accept included, as those are programs.
 * Says the status, its title and the request id; never what went wrong inside. Loads nothing from elsewhere.
 * Keeps one split page for each status and form: at most 500 * 3, a few KiB each.
 */
export type PageForm = 'html' | 'json' | 'text'

export interface ErrorPageOptions {
  /** Replacements, read at load. The exact status is asked before its class; other forms keep the built-in page. */
  readonly custom: readonly CustomPage[]
}

export interface CustomPage {
  /** `404` or `5xx`. */
  readonly when: string
  readonly form: PageForm
  /** Knows `{status}`, `{title}` and `{request_id}`. At most 1 MiB. */
  readonly template: string
}

export interface RenderedPage {
  readonly contentType: string
  readonly body: Uint8Array
  /** Fields that belong to the page: `nosniff`, and for built-in HTML a policy that allows its own style only. */
  readonly headers: RawFields
}

export interface PageText {
  /** Replaces the reason phrase as the headline. */
  readonly title?: string | undefined
  /** One sentence below it. */
  readonly detail?: string | undefined
}

const contentTypes: Readonly<Record<PageForm, string>> = {
  html: 'text/html; charset=utf-8',
  json: 'application/problem+json',
  text: 'text/plain; charset=utf-8',
}

const plainHeaders: RawFields = ['X-Content-Type-Options', 'nosniff']
const builtInHtmlHeaders: RawFields = [
  ...plainHeaders,
  'Content-Security-Policy',
  "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
]

// Stands for the request id while a page is built; no title can hold it.
const idMark = '\u0000'

export class ErrorPages {
  readonly #custom = new Map<string, string>()
  readonly #split = new Map<string, SplitPage>()

  constructor(options: ErrorPageOptions = { custom: [] }) {
    for (const page of options.custom) this.#custom.set(`${page.when} ${page.form}`, page.template)
  }

  /** `id` is a request id: [A-Za-z0-9._-], so it needs no escaping in any form. */
  render(status: number, accept: string | undefined, id: string, text?: PageText): RenderedPage {
    const form = chooseForm(accept)
    const split = this.#page(status, form, text)
    return {
      contentType: contentTypes[form],
      headers: split.headers,
      body: splice(split.parts, Buffer.from(id, 'latin1')),
    }
  }

  #page(status: number, form: PageForm, text: PageText | undefined): SplitPage {
    // Pages with words of their own are not kept: their number has no bound here.
    if (text?.title !== undefined || text?.detail !== undefined) return this.#build(status, form, text)
    const key = `${status} ${form}`
    let page = this.#split.get(key)
    if (page === undefined) this.#split.set(key, (page = this.#build(status, form, {})))
    return page
  }

  #build(status: number, form: PageForm, text: PageText): SplitPage {
    const title = text.title ?? STATUS_CODES[status] ?? 'Error'
    const custom =
      this.#custom.get(`${status} ${form}`) ?? this.#custom.get(`${Math.floor(status / 100)}xx ${form}`)
    const whole =
      custom === undefined
        ? builtIn[form](status, title, text.detail)
        : custom.replace(/\{(status|title|request_id)\}/g, (_all, word: string) =>
            word === 'status' ? String(status) : word === 'title' ? escapeFor[form](title) : idMark,
          )
    const headers = form === 'html' && custom === undefined ? builtInHtmlHeaders : plainHeaders
    return { parts: whole.split(idMark).map((part) => Buffer.from(part)), headers }
  }
}

interface SplitPage {
  /** What stands before, between and after the places of the request id. */
  readonly parts: readonly Uint8Array[]
  readonly headers: RawFields
}

function splice(parts: readonly Uint8Array[], id: Uint8Array): Uint8Array {
  const pieces: Uint8Array[] = []
  parts.forEach((part, i) => {
    if (i > 0) pieces.push(id)
    pieces.push(part)
  })
  return Buffer.concat(pieces)
}

const escapeFor: Readonly<Record<PageForm, (text: string) => string>> = {
  html: (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`),
  json: (text) => JSON.stringify(text).slice(1, -1),
  text: (text) => text,
}

const builtIn: Readonly<
  Record<PageForm, (status: number, title: string, detail: string | undefined) => string>
> = {
  html(status, title, detail) {
    const safe = escapeFor.html(title)
    const sentence = detail === undefined ? '' : `\n<p>${escapeFor.html(detail)}</p>`
    return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${status} ${safe}</title>
<style>
:root { color-scheme: light dark }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1rem/1.5 system-ui, sans-serif }
main { padding: 2rem; max-width: 40rem }
h1 { font-size: 1.5rem; margin: 0 0 .5rem }
footer { margin-top: 2rem; font-size: .875rem; opacity: .75; overflow-wrap: anywhere }
</style>
</head>
<body>
<main>
<h1>${status} ${safe}</h1>${sentence}
<footer>Request id: <code>${idMark}</code></footer>
</main>
</body>
</html>
`
  },
  json(status, title, detail) {
    const problem = { type: 'about:blank', title, status, ...(detail === undefined ? {} : { detail }) }
    return `${JSON.stringify(problem).slice(0, -1)},"request_id":"${idMark}"}\n`
  },
  text(status, title, detail) {
    return `${status} ${title}\n${detail === undefined ? '' : `${detail}\n`}Request id: ${idMark}\n`
  },
}

const maxAcceptLength = 1024

interface Preference {
  quality: number
  /** 3 for the type itself, 2 for `type/*`, 1 for any. */
  precision: number
}

/**
 * The form that an Accept value asks for (RFC 9110 §12.5.1): highest quality, then the one named most precisely,
 * then HTML, JSON, text; JSON when only wildcards speak or nothing fits. Reads 1,024 characters and no more.
 */
export function chooseForm(accept: string | undefined): PageForm {
  if (accept === undefined || accept === '*/*') return 'json'
  const html: Preference = { quality: 0, precision: 0 }
  const json: Preference = { quality: 0, precision: 0 }
  const text: Preference = { quality: 0, precision: 0 }
  for (const element of accept.slice(0, maxAcceptLength).split(',')) {
    const [range = '', ...parameters] = element.split(';')
    const quality = readQuality(parameters)
    if (quality === undefined) continue
    switch (range.trim().toLowerCase()) {
      case 'text/html':
      case 'application/xhtml+xml':
        prefer(html, quality, 3)
        break
      case 'application/json':
      case 'application/problem+json':
        prefer(json, quality, 3)
        break
      case 'text/plain':
        prefer(text, quality, 3)
        break
      case 'application/*':
        prefer(json, quality, 2)
        break
      case 'text/*':
        prefer(html, quality, 2)
        prefer(text, quality, 2)
        break
      case '*/*':
        prefer(html, quality, 1)
        prefer(json, quality, 1)
        prefer(text, quality, 1)
        break
      default:
    }
  }
  let best: PageForm = 'json'
  let bestOf: Preference = json.precision <= 1 ? { quality: json.quality, precision: 1.5 } : json
  if (better(html, bestOf, true)) {
    best = 'html'
    bestOf = html
  }
  if (better(text, bestOf, false)) best = 'text'
  return best
}

/** A more precise range overrides a broader one; of two as precise the higher quality stands. */
function prefer(kept: Preference, quality: number, precision: number): void {
  if (precision < kept.precision || (precision === kept.precision && quality <= kept.quality)) return
  kept.quality = quality
  kept.precision = precision
}

function better(one: Preference, other: Preference, onTie: boolean): boolean {
  if (one.quality === 0) return false
  if (one.quality !== other.quality) return one.quality > other.quality
  return one.precision > other.precision || (onTie && one.precision === other.precision)
}

/** 0 to 1; 1 when there is none; undefined when malformed. */
function readQuality(parameters: readonly string[]): number | undefined {
  for (const parameter of parameters) {
    const match = /^\s*q\s*=\s*(.*?)\s*$/i.exec(parameter)
    if (match === null) continue
    return /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(match[1] ?? '') ? Number(match[1]) : undefined
  }
  return 1
}
