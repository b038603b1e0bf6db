import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { defineGateway } from '../../src/config/define-gateway.ts'
import type { GatewayConfig } from '../../src/config/gateway-config.ts'
import type { gatewaySchema } from '../../src/config/gateway-options.ts'
import { configTypes, jsonSchema, optionTable } from '../../src/config/reference.ts'
import { withTable } from '../../src/config/write-reference.ts'
import type { Authored } from '../../src/schema.ts'

const file = (name: string) => new URL(`../../${name}`, import.meta.url)
const text = (name: string) => readFileSync(file(name), 'utf8')

describe('what is made from the schema', () => {
  it('is up to date (npm run docs)', () => {
    expect(text('sluice.schema.json')).toBe(jsonSchema())
    expect(text('src/config/gateway-config.ts')).toBe(configTypes())
  })

  it.runIf(existsSync(file('README.md')))('is up to date in the README (npm run docs)', () => {
    expect(text('README.md')).toBe(withTable(text('README.md')))
  })

  it('describes every option', () => {
    const rows = optionTable().trim().split('\n').slice(2)
    expect(rows.length).toBeGreaterThan(80)
    expect(rows.filter((row) => row.endsWith('|  |'))).toEqual([])
    expect(rows).toContain(
      '| `listeners[].redirectToHttps.status` | `301` \\| `302` \\| `307` \\| `308` | `308` | Status; 307 and 308 keep method and body. |',
    )
    expect(rows).toContain(
      '| `limits.headerBytes` | size | `"32KiB"` | Header section of a request; beyond: 431. |',
    )
  })

  it('puts the table between the markers of a README, and changes nothing else', () => {
    const readme = 'before\n<!-- options:start -->\nold\n<!-- options:end -->\nafter\n'
    const once = withTable(readme)
    expect(once).toMatch(
      /^before\n<!-- options:start -->\n\n\| Option [^]*\|\n\n<!-- options:end -->\nafter\n$/,
    )
    expect(withTable(once)).toBe(once)
    expect(withTable('no markers')).toBe('no markers')
  })

  it('refuses unknown keys in editors too, and takes environment variables for numbers', () => {
    const schema = JSON.parse(jsonSchema()) as {
      additionalProperties: boolean
      definitions: Record<string, { additionalProperties: boolean }>
    }
    expect(schema.additionalProperties).toBe(false)
    expect(
      Object.values(schema.definitions).map((definition) => definition.additionalProperties),
    ).not.toContain(true)
    expect(jsonSchema()).not.toContain('typeName')
  })
})

describe('the types of defineGateway', () => {
  it('accept what the schema accepts', () => {
    // Lists may be readonly in the types, which the check does not mind.
    type Mutable<T> = T extends (...args: never[]) => unknown
      ? T
      : T extends object
        ? { -readonly [K in keyof T]: Mutable<T[K]> }
        : T
    expectTypeOf<Mutable<GatewayConfig>>().toExtend<Authored<typeof gatewaySchema>>()
    expectTypeOf<keyof GatewayConfig>().toEqualTypeOf<keyof Authored<typeof gatewaySchema>>()
  })

  it('give back what they got, and know every option', () => {
    const config = { upstreams: { app: { endpoints: ['http://a'] } } }
    expect(defineGateway(config)).toBe(config)
    const make = () => config
    expect(defineGateway(make)).toBe(make)
    // @ts-expect-error an unknown option
    defineGateway({ upstrems: {} })
    // @ts-expect-error a word that is not one of the choices
    defineGateway({ accessLog: { format: 'xml' } })
  })
})
