/** How overlayfs is told that a folder hides what lies below it. */
export const OPAQUE_ATTRIBUTE = "trusted.overlay.opaque";
export const OPAQUE_VALUE = Buffer.from("y");
