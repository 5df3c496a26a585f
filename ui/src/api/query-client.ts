import { QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError } from "./client";

/** A user's mistake (4xx) is not retried; a server that is starting or busy is, a few times. */
export const queryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error) => {
      // The browser session has ended: sign in again and come back.
      if (!(error instanceof ApiError && error.status === 401)) return;
      const { pathname, search } = window.location;
      if (pathname !== "/login") window.location.assign(`/login?to=${encodeURIComponent(pathname + search)}`);
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      gcTime: 5 * 60_000,
      refetchOnWindowFocus: false,
      retry: (failures, error) =>
        !(error instanceof ApiError && error.status >= 400 && error.status < 500) && failures < 3,
      retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 5_000),
    },
  },
});
