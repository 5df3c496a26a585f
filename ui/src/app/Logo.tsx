/** Two lenses on one subject. */
export function Logo({ size = 20 }: { readonly size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <circle cx="11.5" cy="16" r="9.5" fill="#3f6fe0" />
      <circle cx="20.5" cy="16" r="9.5" fill="#12a594" />
      <path d="M16 7.63a9.5 9.5 0 0 1 0 16.74 9.5 9.5 0 0 1 0-16.74Z" fill="#f4f7ff" />
    </svg>
  );
}
