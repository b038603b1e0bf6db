/** Reading what users wrote before it has been checked: anything of the wrong shape reads as empty. Pure. */
import { parseCidr } from '../net-address.ts'

export type Path = readonly (string | number)[]
export type Report = (path: Path, message: string) => void
export type Table = Readonly<Record<string, unknown>>

export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function table(value: unknown): Table {
  return isTable(value) ? value : {}
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** A network that holds every address. */
export function isEveryone(block: unknown): boolean {
  return typeof block === 'string' && parseCidr(block)?.prefix === 0
}
