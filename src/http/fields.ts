/**
 * A header section as it came: names and values alternating, order and case kept.
 * Look-ups are linear and allocate nothing for names that arrive in lower case or in the
 * usual capitals; sections are short, and most requests ask for a handful of names.
 */
export type RawFields = readonly string[]

/** The first value of a field, or undefined. `name` is in lower case. */
export function getField(raw: RawFields, name: string): string | undefined {
  const index = findField(raw, name, 0)
  return index < 0 ? undefined : raw[index + 1]
}

/** Index of the next line called `name` (lower case) at or after `from` (even), or -1. */
export function findField(raw: RawFields, name: string, from: number): number {
  for (let i = from; i < raw.length; i += 2) {
    if (sameName(raw[i] as string, name)) return i
  }
  return -1
}

/** Every value of a field, in order. `name` is in lower case. */
export function getFields(raw: RawFields, name: string): string[] {
  const values: string[] = []
  for (let i = findField(raw, name, 0); i >= 0; i = findField(raw, name, i + 2))
    values.push(raw[i + 1] as string)
  return values
}

/** All values of a list field joined with a comma (RFC 9110 §5.3), or undefined when it is absent. */
export function joinField(raw: RawFields, name: string): string | undefined {
  let joined: string | undefined
  for (let i = findField(raw, name, 0); i >= 0; i = findField(raw, name, i + 2)) {
    const value = raw[i + 1] as string
    joined = joined === undefined ? value : `${joined}, ${value}`
  }
  return joined
}

export function hasField(raw: RawFields, name: string): boolean {
  return findField(raw, name, 0) >= 0
}

/** Compares a field name as sent with a lower-case name. */
export function sameName(sent: string, lower: string): boolean {
  return sent.length === lower.length && (sent === lower || sent.toLowerCase() === lower)
}

/** Removes every line called `name` (lower case), in place. */
export function removeField(raw: string[], name: string): void {
  let kept = 0
  for (let i = 0; i < raw.length; i += 2) {
    if (sameName(raw[i] as string, name)) continue
    if (kept !== i) {
      raw[kept] = raw[i] as string
      raw[kept + 1] = raw[i + 1] as string
    }
    kept += 2
  }
  raw.length = kept
}

/** Replaces every line of that name by one, in place; keeps the position of the first. */
export function setField(raw: string[], name: string, value: string): void {
  const lower = name.toLowerCase()
  const first = findField(raw, lower, 0)
  if (first < 0) {
    raw.push(name, value)
    return
  }
  raw[first + 1] = value
  for (let i = findField(raw, lower, first + 2); i >= 0; i = findField(raw, lower, i)) raw.splice(i, 2)
}
