import { readFileSync } from 'node:fs'
import { extname } from 'node:path'
import type { CustomPage, ErrorPageOptions, PageForm } from './error-page.ts'
import { reason } from './errors.ts'
import { filePath, oneOrMore, tableOf, z } from './schema.ts'
import type { Checked } from './schema.ts'

const maxPageBytes = 1_048_576
const forms: Readonly<Record<string, PageForm>> = {
  '.html': 'html',
  '.htm': 'html',
  '.json': 'json',
  '.txt': 'text',
}

const when = z.string().superRefine((written, context) => {
  if (!/^[45](?:\d\d|xx)$/.test(written)) {
    context.addIssue(
      `expected a status such as "404" or a class such as "5xx", got ${JSON.stringify(written)}`,
    )
  }
})

/** Read while the configuration is checked, so that a missing page is a fault and not a surprise. */
const pageFiles = oneOrMore(filePath(), 3).transform((paths, context) =>
  paths.map((path) => {
    const page = readPage(path)
    if (typeof page === 'string') context.addIssue(page)
    return page
  }),
)

/** A string is the fault. */
function readPage(path: string): Omit<CustomPage, 'when'> | string {
  const form = forms[extname(path).toLowerCase()]
  if (form === undefined)
    return `expected a file that ends in .html, .json or .txt, got ${JSON.stringify(path)}`
  try {
    const bytes = readFileSync(path)
    if (bytes.byteLength > maxPageBytes)
      return `expected a page of at most 1 MiB, got ${bytes.byteLength} bytes`
    return { form, template: bytes.toString('utf8') }
  } catch (error) {
    return `cannot read the page: ${reason(error)}`
  }
}

export const errorPagesSchema = tableOf(when, pageFiles, 200).describe(
  'Own pages by status (`404`) or class (`5xx`): files in .html, .json or .txt with `{status}`, `{title}`, `{request_id}`.',
)

export function resolveErrorPages(checked: Checked<typeof errorPagesSchema>): ErrorPageOptions {
  const custom: CustomPage[] = []
  for (const [status, pages] of Object.entries(checked)) {
    for (const page of pages) if (typeof page !== 'string') custom.push({ when: status, ...page })
  }
  return { custom }
}
