import { useQueries } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import type { Schemas } from "../../api/client";
import { asProblem } from "../../api/problem";
import * as queries from "../../api/queries";

/** How many devices are asked for at once. */
export const PART = 100;

interface Window {
  /** How many devices the filter chooses; absent until the server has answered. */
  total: number | undefined;
  /** The device at a place of the list, when it is here. */
  at: (index: number) => Schemas["DeviceSummary"] | undefined;
  error: unknown;
  retry: () => void;
}

/** The part of a long list of devices that can be seen, and what is around it. */
export function useWindow(
  query: { filter?: string; sort?: string },
  first: number,
  last: number,
): Window {
  const from = Math.max(0, Math.floor(first / PART));
  const to = Math.max(from, Math.floor(last / PART));
  const parts = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  const results = useQueries({
    queries: parts.map((part) => queries.devices({ ...query, skip: part * PART, limit: PART })),
  });
  const totals = results.flatMap(({ data }) => (data ? [data.total] : []));
  // Whoever scrolls to a part that is not here yet still has as long a list.
  const known = useRef<number>(undefined);
  useEffect(() => {
    known.current = totals.at(-1) ?? known.current;
  });
  return {
    total: totals.at(-1) ?? known.current,
    at: (index) => {
      const result = results[Math.floor(index / PART) - from];
      return result?.data?.items[index % PART];
    },
    error: results.map(({ error }) => error).find((error) => error && asProblem(error)),
    retry: () => {
      for (const result of results) result.refetch();
    },
  };
}
