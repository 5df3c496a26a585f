import { createTheme, type MantineColorScheme, type MantineColorSchemeManager } from "@mantine/core";

const KEY = "twinlens.theme";

export const theme = createTheme({
  fontFamily: "var(--font)",
  fontFamilyMonospace: "var(--mono)",
  respectReducedMotion: true,
  focusClassName: "",
  components: {
    Tooltip: { defaultProps: { openDelay: 350, transitionProps: { duration: 80 }, withinPortal: true } },
    Menu: { defaultProps: { transitionProps: { duration: 80 }, shadow: "none", position: "bottom-start" } },
    Popover: { defaultProps: { transitionProps: { duration: 80 }, shadow: "none", position: "bottom-start" } },
    Modal: { defaultProps: { transitionProps: { duration: 80 }, centered: true } },
  },
});

/** The same storage key as `public/theme.js`, which paints first. */
export const colorScheme: MantineColorSchemeManager = (() => {
  let listener: ((event: StorageEvent) => void) | null = null;
  return {
    get: (fallback) => (read() as MantineColorScheme | null) ?? fallback,
    set: (value) => {
      try {
        localStorage.setItem(KEY, value);
      } catch {
        // Storage may be blocked; the choice lasts for this page.
      }
    },
    subscribe: (onUpdate) => {
      listener = (event) => {
        if (event.key === KEY && event.newValue) onUpdate(event.newValue as MantineColorScheme);
      };
      window.addEventListener("storage", listener);
    },
    unsubscribe: () => {
      if (listener) window.removeEventListener("storage", listener);
    },
    clear: () => localStorage.removeItem(KEY),
  };
})();

function read(): string | null {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" || value === "auto" ? value : null;
  } catch {
    return null;
  }
}
