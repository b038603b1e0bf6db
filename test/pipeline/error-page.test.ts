import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { answerWith } from '../../src/answer-error.ts'
import { errorPagesSchema, resolveErrorPages } from '../../src/error-page-options.ts'
import { ErrorPages, chooseForm } from '../../src/error-page.ts'
import { ConnectError, PoolExhaustedError } from '../../src/errors.ts'
import { getField } from '../../src/http/fields.ts'
import { check } from '../../src/schema.ts'
import { bodyText, makeExchange } from '../support/exchange.ts'

describe('the form of an error page', () => {
  it.each([
    [undefined, 'json'],
    ['*/*', 'json'],
    ['', 'json'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8', 'html'],
    ['application/json', 'json'],
    ['application/json, text/plain, */*', 'json'],
    ['application/problem+json', 'json'],
    ['text/plain', 'text'],
    ['text/*', 'html'],
    ['application/*', 'json'],
    ['text/html;q=0.5, application/json', 'json'],
    ['text/html;q=0.9, application/json;q=0.8', 'html'],
    ['text/html, application/json', 'html'],
    ['TEXT/HTML; Q=1.0', 'html'],
    ['text/html;q=0, */*', 'json'],
    ['application/json;q=0, */*', 'html'],
    ['application/json;q=0.1, */*', 'html'],
    ['text/html;q=5', 'json'],
    ['image/png', 'json'],
    ['text/plain;q=0.9, text/html;level=1;q=0.4', 'text'],
  ])('for Accept %j is %s', (accept, form) => {
    expect(chooseForm(accept)).toBe(form)
  })

  it('is found for any Accept, quickly', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (accept) => {
        expect(['html', 'json', 'text']).toContain(chooseForm(accept))
      }),
    )
    const started = performance.now()
    chooseForm(`text/html;q=${' '.repeat(60_000)}`)
    chooseForm(',;'.repeat(30_000))
    expect(performance.now() - started).toBeLessThan(200)
  })

  it('is the one with the highest quality of those that are named', () => {
    const quality = fc.integer({ min: 1, max: 999 }).map((q) => `0.${String(q).padStart(3, '0')}`)
    fc.assert(
      fc.property(quality, quality, quality, (html, json, text) => {
        const best = [html, json, text].toSorted().at(-1)
        const form = chooseForm(`text/plain;q=${text},application/json;q=${json}, text/html ; q=${html}`)
        expect({ html, json, text }[form]).toBe(best)
      }),
    )
  })
})

describe('a page', () => {
  it('is a problem document for programs', () => {
    const { body, contentType } = new ErrorPages().render(502, undefined, 'id-1')
    expect(contentType).toBe('application/problem+json')
    expect(JSON.parse(Buffer.from(body).toString())).toEqual({
      type: 'about:blank',
      title: 'Bad Gateway',
      status: 502,
      request_id: 'id-1',
    })
  })

  it('is HTML for browsers, with nothing from elsewhere', () => {
    const { body, headers } = new ErrorPages().render(404, 'text/html', 'id-2', { detail: '<b>&"' })
    const html = Buffer.from(body).toString()
    expect(html).toContain('404 Not Found')
    expect(html).toContain('<code>id-2</code>')
    expect(html).toContain('&#60;b&#62;&#38;&#34;')
    expect(html).not.toMatch(/src=|href=|url\(/)
    expect(getField(headers, 'content-security-policy')).toContain("default-src 'none'")
  })

  it('bears the id of its own request, kept or not', () => {
    const pages = new ErrorPages()
    expect(Buffer.from(pages.render(500, 'text/plain', 'first').body).toString()).toContain('first')
    expect(Buffer.from(pages.render(500, 'text/plain', 'second').body).toString()).toContain('second')
  })

  it('can be replaced by status or class, in one form', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-pages-'))
    try {
      writeFileSync(join(folder, '5xx.html'), '<h1>{status} {title} {request_id} {other}</h1>')
      writeFileSync(join(folder, '503.txt'), 'full: {request_id} {request_id}')
      const result = check(errorPagesSchema, { '5xx': '5xx.html', '503': ['503.txt'] }, folder)
      if (!result.ok) throw new Error(JSON.stringify(result.issues))
      const pages = new ErrorPages(resolveErrorPages(result.value))
      const text = (status: number, accept: string) =>
        Buffer.from(pages.render(status, accept, 'x1').body).toString()
      expect(text(502, 'text/html')).toBe('<h1>502 Bad Gateway x1 {other}</h1>')
      expect(text(503, 'text/plain')).toBe('full: x1 x1')
      expect(text(503, 'application/json')).toContain('"status":503')
      expect(text(404, 'text/html')).toContain('<!doctype html>')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it.each([
    [{ '5xx': 'missing.html' }, 'cannot read the page'],
    [{ '5xx': 'page.png' }, 'expected a file that ends in'],
    [{ '200': 'x.html' }, 'expected a status'],
  ])('that cannot be had is a fault: %j', (written, message) => {
    const result = check(errorPagesSchema, written, '/nowhere')
    expect(result.ok ? '' : JSON.stringify(result.issues)).toContain(message)
  })
})

describe('an error as an answer', () => {
  const answer = answerWith(new ErrorPages())

  it('tells status and request id, and nothing of what happened inside', () => {
    const exchange = makeExchange({ id: 'abc' })
    const response = answer(exchange, new ConnectError('10.9.8.7:3000', new Error('ECONNREFUSED')))
    expect(response.status).toBe(502)
    expect(getField(response.headers, 'cache-control')).toBe('no-store')
    expect(bodyText(response)).toContain('abc')
    expect(bodyText(response)).not.toMatch(/10\.9\.8\.7|ECONN/)
    expect(response.length).toBe((response.body as Uint8Array).byteLength)
    expect(exchange.error?.code).toBe('connect_failed')
  })

  it('keeps the fields of the error, and the first error for the log', () => {
    const exchange = makeExchange()
    const response = answer(exchange, new PoolExhaustedError('app'))
    answer(exchange, new ConnectError('a', 'b'))
    expect(getField(response.headers, 'retry-after')).toBe('1')
    expect(exchange.error?.code).toBe('pool_exhausted')
  })

  it('has no body for HEAD but the length of it', () => {
    const response = answer(makeExchange({ method: 'HEAD' }), new PoolExhaustedError('app'))
    expect(response.body).toBeUndefined()
    expect(response.length).toBeGreaterThan(0)
  })
})
