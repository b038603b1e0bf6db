/** `npm run docs`: writes what reference.ts makes: the JSON Schema, the types, and the table in the README between its markers. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { configTypes, jsonSchema, optionTable } from './reference.ts'

const root = new URL('../../', import.meta.url)
const start = '<!-- options:start -->'
const end = '<!-- options:end -->'

/** The README with the table of the day between the markers; unchanged where there are none. */
export function withTable(readme: string): string {
  const from = readme.indexOf(start)
  const to = readme.indexOf(end, from)
  if (from < 0 || to < 0) return readme
  return `${readme.slice(0, from + start.length)}\n\n${optionTable()}\n${readme.slice(to)}`
}

if (import.meta.main) {
  writeFileSync(new URL('sluice.schema.json', root), jsonSchema())
  writeFileSync(new URL('src/config/gateway-config.ts', root), configTypes())
  const readme = new URL('README.md', root)
  if (existsSync(readme)) writeFileSync(readme, withTable(readFileSync(readme, 'utf8')))
}
