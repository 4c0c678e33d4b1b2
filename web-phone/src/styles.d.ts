/** Vite brings the styles of a part that is loaded later along with it. */
declare module '*.css' {}
