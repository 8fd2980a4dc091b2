"""Where images come from: folders and label files, image files, the published set, its download, augmentation."""
